// Package decap is the replica's side of mode ipip: it attaches the XDP program of
// bpf/src/decap.bpf.c to an interface. The program decapsulates what a balancer encapsulated, with or without UDP, and
// passes the inner packet up.
//
// There is no daemon. All state of an interface is pinned in a directory of its own, so that
// it goes on decapsulating when the process ends; the next process finds it there. Everything acts
// in the network namespace of the calling thread.
package decap

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
)

// DefaultDir is where interfaces are pinned.
const DefaultDir = xdp.Root + "/lbctl-decap"

// Options say what an interface decapsulates.
type Options struct {
	// Mode is how the program is attached to the interface. Default lb.Auto.
	Mode lb.AttachMode
	// Locals are addresses that outer packets come to, beside those that the interface has now, which
	// count unless they are link-local.
	Locals []netip.Addr
	// VIPs are the addresses that inner packets may be to. None: any.
	VIPs []netip.Addr
	// Ports are those of UDP around packets: GUE, variant 1, and Linux's FOU. None: no UDP is looked into.
	Ports []uint16
	// Ephemeral allows a BPF file system that process 1 does not see: decapsulation ends with the mount namespace.
	Ephemeral bool
}

// Interface is an interface that decapsulates.
type Interface struct {
	lb.Interface
	// Locals are all addresses that outer packets come to; sorted, as are VIPs.
	Locals, VIPs []netip.Addr
	// Ports are the UDP ports, sorted.
	Ports []uint16
	// Reasons holds every reason, also those never met. Their sum is the number of packets seen.
	Reasons map[lb.Reason]lb.Count
	// Notes are sentences for the operator about an attachment, as why it is not native.
	Notes []string
}

// check completes and validates options. Its errors wrap lb.ErrInvalid.
func (o Options) check() (Options, error) {
	if o.Mode == "" {
		o.Mode = lb.Auto
	}
	if _, err := lb.ParseAttachMode(string(o.Mode)); err != nil {
		return o, err
	}
	o.Locals, o.VIPs = tidy(o.Locals), tidy(o.VIPs)
	o.Ports = slices.Compact(slices.Sorted(slices.Values(o.Ports)))
	if len(o.Ports) > 0 && o.Ports[0] == 0 {
		return o, fmt.Errorf("%w: UDP port 0: want 1 to 65535", lb.ErrInvalid)
	}
	for _, a := range append(slices.Clone(o.Locals), o.VIPs...) {
		if !a.IsValid() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return o, fmt.Errorf("%w: address %v: want one of a host, without a zone", lb.ErrInvalid, a)
		}
	}
	return o, nil
}

// tidy sorts addresses, each once, mapped ones as what they are.
func tidy(addresses []netip.Addr) []netip.Addr {
	all := make([]netip.Addr, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, a.Unmap())
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// List returns the interfaces of this network namespace that decapsulate, sorted by name. None, and no
// error, where there is no such directory. Errors: lb.ErrDenied.
func List(dir string) ([]Interface, error) {
	unlock, err := lock(dir)
	if errors.Is(err, lb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	here, err := namespace()
	if err != nil {
		return nil, err
	}
	found, err := places(dir)
	if err != nil {
		return nil, err
	}
	var all []Interface
	for _, p := range found {
		if !strings.HasPrefix(filepath.Base(string(p)), fmt.Sprintf("%d_", here)) {
			continue
		}
		i, ok, err := inspect(p)
		if err != nil {
			return nil, fmt.Errorf("inspect %s: %w", p, err)
		}
		if ok {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b Interface) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// inspect reads a place. ok is false if its interface is gone.
func inspect(p place) (i Interface, ok bool, err error) {
	hook, err := p.hook()
	if err != nil {
		return i, false, err
	}
	defer hook.Close()
	attached, err := hook.Interfaces()
	if err != nil || len(attached) == 0 {
		return i, false, err
	}
	maps, err := p.maps()
	if err != nil {
		return i, false, err
	}
	defer maps.Close()
	i, err = describe(maps, attached[0])
	return i, err == nil, err
}

// maps opens the pinned tables.
func (p place) maps() (m *bpf.DecapMaps, err error) {
	m = &bpf.DecapMaps{}
	for name, to := range map[string]**ebpf.Map{
		bpf.DecapMapLocals: &m.Locals, bpf.DecapMapVips: &m.Vips,
		bpf.DecapMapPorts: &m.Ports, bpf.DecapMapPolicies: &m.Policies, bpf.DecapMapByReason: &m.ByReason,
	} {
		*to, err = ebpf.LoadPinnedMap(filepath.Join(string(p), name), nil)
		if name == bpf.DecapMapPorts && errors.Is(err, fs.ErrNotExist) { // attached by a build that knew no UDP
			err = nil
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open pinned map %s: %w", name, lb.Denied(err)), m.Close())
		}
	}
	return m, nil
}

// describe reads the tables of an interface.
func describe(m *bpf.DecapMaps, of lb.Interface) (i Interface, err error) {
	i.Interface = of
	if i.Locals, err = read(m.Locals); err != nil {
		return i, err
	}
	if i.VIPs, err = read(m.Vips); err != nil {
		return i, err
	}
	if i.Ports, err = readPorts(m.Ports); err != nil {
		return i, err
	}
	i.Reasons, err = counters(m.ByReason)
	return i, err
}
