package decap

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// List returns the interfaces of this network namespace that unpack, sorted by name. None, and no
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

// inspect reads a place, unless its interface is gone.
func inspect(p place) (i Interface, ok bool, err error) {
	if alive, err := p.alive(); err != nil || !alive {
		return i, false, err
	}
	l, err := link.LoadPinnedLink(p.link(), nil)
	if err != nil {
		return i, false, fmt.Errorf("open pinned link: %w", xdp.Denied(err))
	}
	defer l.Close()
	index, err := xdp.Interface(l)
	if err != nil {
		return i, false, err
	}
	device, err := netlink.LinkByIndex(index)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return i, false, nil // just gone
	}
	if err != nil {
		return i, false, fmt.Errorf("look at interface %d: %w", index, err)
	}
	maps, err := p.maps()
	if err != nil {
		return i, false, err
	}
	defer maps.Close()
	i, err = describe(maps, xdp.Describe(device))
	return i, err == nil, err
}

// maps opens the pinned tables.
func (p place) maps() (m *bpf.DecapMaps, err error) {
	m = &bpf.DecapMaps{}
	for name, to := range map[string]**ebpf.Map{
		bpf.DecapMapLocals: &m.Locals, bpf.DecapMapVips: &m.Vips,
		bpf.DecapMapPolicies: &m.Policies, bpf.DecapMapByReason: &m.ByReason,
	} {
		if *to, err = ebpf.LoadPinnedMap(filepath.Join(string(p), name), nil); err != nil {
			return nil, errors.Join(fmt.Errorf("open pinned map %s: %w", name, xdp.Denied(err)), m.Close())
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
	i.Reasons, err = counters(m.ByReason)
	return i, err
}
