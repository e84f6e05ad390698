// Package netstate gathers the facts that package doctor judges, from the network namespace of the
// calling thread: by rtnetlink, the generic netlink families netdev and ethtool, /proc/sys and BPF. It
// reads only. What a caller without privileges may not see is missing in the facts, and
// is no error.
package netstate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/lb"
	"lbctl/lb/doctor"
)

// Question says what to look at.
type Question struct {
	// Interfaces are names, at least one.
	Interfaces []string
	OnReplica  bool
	// Mode is, on a replica, how packets are brought to it.
	Mode   lb.Mode
	Daemon doctor.Daemon
	// DecapDir is where the program that unpacks is pinned; empty: decap.DefaultDir.
	DecapDir string
	// Attached are the interfaces that the daemon says it is attached to.
	Attached []string
	VIPs     []Target
	Replicas []Target
}

// Target is an address and the mode of the service that it belongs to.
type Target struct {
	Address netip.Addr
	Mode    lb.Mode
}

// Look returns the facts. Errors: lb.ErrNotFound when an interface does not exist, lb.ErrDenied
// when the kernel does not let the caller ask.
func Look(q Question) (doctor.Facts, error) {
	f := doctor.Facts{OnReplica: q.OnReplica, Mode: q.Mode, Daemon: q.Daemon, Host: host()}
	v, err := newView(q)
	if err != nil {
		return f, err
	}
	for _, name := range distinct(q.Interfaces) {
		i, err := v.named(name)
		if err != nil {
			return f, err
		}
		if q.OnReplica {
			i.Unpacks = v.unpacks(i)
		}
		f.Interfaces = append(f.Interfaces, i)
	}
	for _, t := range distinct(q.VIPs) {
		f.VIPs = append(f.VIPs, v.vip(t, f.Interfaces))
	}
	for _, t := range distinct(q.Replicas) {
		r := doctor.Replica{Address: t.Address, Mode: t.Mode, Way: v.way(t.Address)}
		f.Replicas = append(f.Replicas, r)
		f.Interfaces = v.onTheWay(f.Interfaces, r.Way.Interface)
	}
	f.Tunnels, f.Default4, f.Default6 = v.tunnels(), v.defaultRoute(unix.AF_INET), v.defaultRoute(unix.AF_INET6)
	f.Sysctl = sysctls(f)
	return f, nil
}

// distinct returns the values once each, in order.
func distinct[T comparable](all []T) []T {
	var once []T
	for _, v := range all {
		if !slices.Contains(once, v) {
			once = append(once, v)
		}
	}
	return once
}

// view is the namespace as one look sees it.
type view struct {
	question  Question
	links     []netlink.Link
	addresses []netlink.Addr
}

func newView(q Question) (*view, error) {
	links, err := whole(netlink.LinkList())
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", denied(err))
	}
	addresses, err := whole(netlink.AddrList(nil, unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", denied(err))
	}
	return &view{q, links, addresses}, nil
}

// whole makes a list during which something changed a list all the same: the next look sees the change.
func whole[T any](list []T, err error) ([]T, error) {
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return list, nil
	}
	return list, err
}

func denied(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: %w", lb.ErrDenied, err)
	}
	return err
}

// link returns an interface by its number in this namespace, nil if there is none.
func (v *view) link(index int) netlink.Link {
	at := slices.IndexFunc(v.links, func(l netlink.Link) bool { return l.Attrs().Index == index })
	if at < 0 {
		return nil
	}
	return v.links[at]
}

// name returns an interface's name, empty if there is none.
func (v *view) name(index int) string {
	if l := v.link(index); l != nil {
		return l.Attrs().Name
	}
	return ""
}
