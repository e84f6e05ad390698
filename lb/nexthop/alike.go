package nexthop

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// worthDestinations is how many routes one operation asks for before it reads the destinations of all, and mostDestinations how many
// these may be: a host that has the routes of the Internet goes on asking.
const (
	worthDestinations = 256
	mostDestinations  = 4096
)

// alike knows which IPv4 addresses the kernel cannot tell apart when it looks for the route of a packet of its own: those that are in the
// same destinations. To those that an operation asks about, one question is put. IPv6 is left out: there
// the source address depends on the destination.
type alike struct {
	// destinations are those of the routes of all tables, and the hosts of which something else was learnt than the route says
	// (a path MTU, a redirect); lengths are the ones that they have, the longest first.
	destinations map[netip.Prefix]bool
	lengths      []int
	// answers are those that hold for all addresses of which this is the longest destination.
	answers map[netip.Prefix][]Answer
}

// nexthopObject is the attribute of a route that says where its next hops are (RTA_NH_ID).
const nexthopObject = 30

// errUnlike: routes depend on more of an address than the destinations that it is in.
var errUnlike = errors.New("routes depend on the address")

// readAlike reads the destinations of the routes. Errors: errUnlike, and what netlink says.
func (n *Network) readAlike() (*alike, error) {
	if n.manyRoutes.Load() {
		return nil, errUnlike
	}
	rules, err := n.netlink.RuleList(unix.AF_INET)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(rules, func(r netlink.Rule) bool { return r.Dst != nil }) {
		return nil, errUnlike
	}
	l := &alike{destinations: map[netip.Prefix]bool{}, answers: map[netip.Prefix][]Answer{}}
	lengths := map[int]bool{}
	err = n.bulk.eachRoute(func(route []byte) error {
		bits, to, unlike := int(route[1]), netip.IPv4Unspecified(), false
		eachAttribute(route[unix.SizeofRtMsg:], func(kind uint16, value []byte) {
			switch kind {
			case unix.RTA_DST:
				to, _ = netip.AddrFromSlice(value)
			case unix.RTA_MULTIPATH, nexthopObject: // which way it goes is by a hash of the address
				unlike = true
			}
		})
		destination, err := to.Prefix(bits)
		if unlike || err != nil {
			return errUnlike
		}
		if len(l.destinations) == mostDestinations {
			n.manyRoutes.Store(true)
			return errUnlike
		}
		l.destinations[destination], lengths[bits] = true, true
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.lengths = slices.Sorted(maps.Keys(lengths))
	slices.Reverse(l.lengths)
	return l, nil
}

// longest returns the longest destination that an address is in, the zero value if it is in none. It is in those that contain
// this one and in no others.
func (l *alike) longest(a netip.Addr) netip.Prefix {
	for _, bits := range l.lengths {
		if p, err := a.Prefix(bits); err == nil && l.destinations[p] {
			return p
		}
	}
	return netip.Prefix{}
}

// find adds to found the routes to addresses, and asks for one of those that are alike. It returns the addresses that are to be asked
// for one by one.
func (l *alike) find(addresses []netip.Addr, found map[netip.Addr][]Answer, ask func([]netip.Addr) map[netip.Addr][]Answer) (others []netip.Addr) {
	first := map[netip.Prefix]netip.Addr{}
	var unknown []netip.Addr
	for _, a := range addresses {
		if !a.Is4() || !a.IsGlobalUnicast() {
			others = append(others, a)
			continue
		}
		p := l.longest(a)
		if all, known := l.answers[p]; known {
			found[a] = all
			continue
		}
		if _, asked := first[p]; !asked {
			first[p] = a
		}
		unknown = append(unknown, a)
	}
	got := ask(slices.Collect(maps.Values(first)))
	for p, a := range first {
		if all, answered := got[a]; answered && shareable(all) {
			l.answers[p] = all
		}
	}
	for _, a := range unknown {
		all, known := l.answers[l.longest(a)]
		if !known {
			all, known = got[a]
		}
		if !known {
			others = append(others, a)
			continue
		}
		found[a] = all
	}
	return others
}

// shareable reports whether answers may hold for other addresses, too. The source of what is for an address of ours is that address.
func shareable(all []Answer) bool {
	return len(all) == 0 || all[0].Route.Type == unix.RTN_UNICAST
}

// eachRoute calls f with the message of every IPv4 route of all tables, and of every exception that was learnt of one, until f returns
// an error, which it returns after the rest has been read. Errors: errUnlike if something changed meanwhile.
func (b *bulk) eachRoute(f func(route []byte) error) (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sequence++
	native := binary.NativeEndian
	q := native.AppendUint32(b.questions[:0], unix.NLMSG_HDRLEN+unix.SizeofRtMsg)
	q = native.AppendUint16(q, unix.RTM_GETROUTE)
	q = native.AppendUint16(q, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	q = native.AppendUint32(q, b.sequence)
	q = native.AppendUint32(q, 0)
	q = append(q, unix.AF_INET)
	q = append(q, make([]byte, unix.SizeofRtMsg-1)...)
	if err := unix.Sendto(b.socket, q, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		n, from, failed := unix.Recvfrom(b.socket, b.answers, 0)
		if failed != nil {
			return failed
		}
		if kernel, is := from.(*unix.SockaddrNetlink); !is || kernel.Pid != 0 {
			continue
		}
		for m := b.answers[:n]; len(m) >= unix.NLMSG_HDRLEN; {
			length := int(native.Uint32(m))
			if length < unix.NLMSG_HDRLEN || length > len(m) {
				return errUnlike
			}
			body := m[unix.NLMSG_HDRLEN:length]
			switch kind := native.Uint16(m[4:]); {
			case native.Uint32(m[8:]) != b.sequence: // a late answer
			case kind == unix.NLMSG_DONE:
				return err
			case kind == unix.NLMSG_ERROR:
				return errUnlike
			case native.Uint16(m[6:])&unix.NLM_F_DUMP_INTR != 0, kind == unix.RTM_NEWROUTE && len(body) < unix.SizeofRtMsg:
				err = errUnlike
			case kind == unix.RTM_NEWROUTE && err == nil:
				err = f(body)
			}
			m = m[min((length+3)&^3, len(m)):]
		}
	}
}
