package nexthop

import (
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// manyAddresses is how many make it worth while to read all routes, of which there may be a million, rather than to ask for
// that of each address.
const manyAddresses = 4096

// whyUnfit says of types of routes why no replica can be where they lead.
func whyUnfit() map[int]string {
	return map[int]string{
		unix.RTN_LOCAL:     "the balancer's own, and what goes to a replica leaves by an interface",
		unix.RTN_BROADCAST: "the broadcast address of a network of this host",
		unix.RTN_ANYCAST:   "the anycast address of all routers of a network of this host",
		unix.RTN_MULTICAST: "the address of a group",
	}
}

// Unfit implements Resolver.
func (s State) Unfit(addresses []netip.Addr) map[netip.Addr]string {
	mayBe := func(netip.Addr) bool { return true }
	if len(addresses) > manyAddresses {
		if found, err := s.unfitPrefixes(); err == nil {
			mayBe = found.contain
		}
	}
	why, unfit := whyUnfit(), map[netip.Addr]string{}
	addresses = slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return !mayBe(a) })
	if len(addresses) > 1 { // one may be prepared
		s.Prepare(addresses)
	}
	for _, a := range addresses {
		if all := s.Routes(a); len(all) > 0 && why[all[0].Route.Type] != "" {
			unfit[a] = why[all[0].Route.Type]
		}
	}
	return unfit
}

// prefixes are the destinations of routes, and the lengths that they have.
type prefixes struct {
	all  map[netip.Prefix]bool
	bits map[int]bool
}

// unfitPrefixes are the destinations of routes of the types of whyUnfit, in all tables: which one counts for a packet, rules
// say.
func (s State) unfitPrefixes() (prefixes, error) {
	found := prefixes{map[netip.Prefix]bool{}, map[int]bool{}}
	why := whyUnfit()
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
		err := s.network.netlink.RouteListFilteredIter(family, all, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
			if why[r.Type] == "" || r.Dst == nil {
				return true
			}
			if a, ok := netip.AddrFromSlice(r.Dst.IP); ok {
				bits, _ := r.Dst.Mask.Size()
				found.all[netip.PrefixFrom(a.Unmap(), bits).Masked()], found.bits[bits] = true, true
			}
			return true
		})
		if err != nil {
			return prefixes{}, err
		}
	}
	return found, nil
}

// contain reports whether an address is in one of them, or is one for which no route need be there.
func (p prefixes) contain(a netip.Addr) bool {
	for bits := range p.bits {
		if around, err := a.Prefix(bits); err == nil && p.all[around] {
			return true
		}
	}
	return !a.IsGlobalUnicast()
}
