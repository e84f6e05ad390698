package nexthop

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Arrival is what rules (ip rule) may know of a packet beside its destination: its source, and the index of the interface
// that it came in on. The zero value is a packet of this machine's own.
type Arrival struct {
	Source  netip.Addr
	Ingress int
}

// Answer is the route of the packets that come in on one interface.
type Answer struct {
	// Ingress is the interface's index, 0 where no rule asks for it.
	Ingress int
	Route   netlink.Route
}

// arrivals are the interfaces on which packets come in that go to replicas, and what one operation has learnt of them.
type arrivals struct {
	indexes []int
	// byRule tells, by address family, whether rules ask which of them it is.
	byRule  map[int]bool
	sources map[int][]netip.Addr
	// latest are the routes to the address that was asked for last.
	latest *answers
	// prepared are the routes of this machine's own packets to addresses of which that was asked ahead.
	prepared map[netip.Addr][]Answer
	read     *read
}

// read is what one operation knows of all routes, and whether it could not be read; asked is for how many routes it has asked before.
type read struct {
	asked  int
	alike  *alike
	failed bool
}

type answers struct {
	address netip.Addr
	all     []Answer
}

// Routes asks for the route to an address as packets do that come in on the interfaces of Gather. If rules ask for the
// interface, each that has a route has an answer, in the order of indexes; otherwise there is one. A packet rarely leaves
// by the interface that it came in on, so answers that say so are left out if there are others. If none has a route (the
// kernel has none for what comes in where forwarding is off), it is that of this machine's own packets. The kernel is
// asked once for several questions about one address in a row.
func (s State) Routes(a netip.Addr) []Answer {
	if s.arrivals.latest.address != a {
		*s.arrivals.latest = answers{a, s.answers(a)}
	}
	return s.arrivals.latest.all
}

// Prepare implements Resolver. It replaces what was prepared before. Where rules ask for the interface it does nothing.
func (s State) Prepare(addresses []netip.Addr) {
	clear(s.arrivals.prepared)
	if len(addresses) < 2 {
		return
	}
	own := make([]netip.Addr, 0, len(addresses))
	for _, a := range addresses {
		if s.sameForAll(a) && !a.Is4In6() {
			own = append(own, a)
		}
	}
	if l := s.alike(len(own)); l != nil {
		own = l.find(own, s.arrivals.prepared, s.network.bulk.routes)
	}
	maps.Copy(s.arrivals.prepared, s.network.bulk.routes(own))
}

// alike returns which addresses are alike, once that is worth while, nil until then. n is for how many routes is asked now.
func (s State) alike(n int) *alike {
	r := s.arrivals.read
	if r.asked < worthDestinations || r.alike != nil || r.failed {
		r.asked += n
		return r.alike
	}
	var err error
	if r.alike, err = s.network.readAlike(); err != nil {
		r.failed = true // and so it is asked for each
	}
	return r.alike
}

// sameForAll reports whether the route to an address is the same whatever interface packets come in on.
func (s State) sameForAll(a netip.Addr) bool {
	return len(s.arrivals.indexes) == 0 || !s.asksForIngress(family(a))
}

func (s State) answers(a netip.Addr) (all []Answer) {
	if s.sameForAll(a) {
		return s.answer(a, 0)
	}
	var back []Answer
	for _, index := range s.arrivals.indexes {
		for _, one := range s.answer(a, index) {
			switch {
			case one.Route.Type != unix.RTN_UNICAST:
			case one.Route.LinkIndex == index:
				back = append(back, one)
			default:
				all = append(all, one)
			}
		}
	}
	if len(all) == 0 {
		all = back
	}
	if len(all) == 0 {
		return s.answer(a, 0)
	}
	return all
}

// Differing implements Resolver.
func (s State) Differing(a netip.Addr) string {
	all := s.Routes(a)
	same := func(o Answer) bool {
		return o.Route.LinkIndex == all[0].Route.LinkIndex && o.Route.Gw.Equal(all[0].Route.Gw)
	}
	if len(all) < 2 || !slices.ContainsFunc(all, func(o Answer) bool { return !same(o) }) {
		return ""
	}
	var each []string
	for _, one := range all {
		text := fmt.Sprintf("from %s by %s", s.name(one.Ingress), s.name(one.Route.LinkIndex))
		if gateway, ok := netip.AddrFromSlice(one.Route.Gw); ok {
			text += ", via " + gateway.Unmap().String()
		}
		each = append(each, text)
	}
	return strings.Join(each, "; ")
}

// HasIngressRules reports whether a rule of either family asks for the interface that a packet came in on.
func (s State) HasIngressRules() bool {
	return s.asksForIngress(unix.AF_INET) || s.asksForIngress(unix.AF_INET6)
}

func (s State) name(index int) string {
	if device := s.Link(index); device != nil {
		return device.Name
	}
	return fmt.Sprint("interface ", index)
}

// asksForIngress reports whether a rule of a family names an ingress, or no table (as that of VRFs does, which takes the
// ingress's).
func (s State) asksForIngress(family int) bool {
	asks, known := s.arrivals.byRule[family]
	if !known {
		rules, _ := s.network.netlink.RuleList(family) // an error is a kernel without rules
		asks = slices.ContainsFunc(rules, func(r netlink.Rule) bool { return r.IifName != "" || r.Table == unix.RT_TABLE_UNSPEC })
		s.arrivals.byRule[family] = asks
	}
	return asks
}

// answer returns the first route to an address of packets that come in on an interface, if there is one.
func (s State) answer(a netip.Addr, ingress int) []Answer {
	if prepared, is := s.arrivals.prepared[a]; is && ingress == 0 {
		return prepared
	}
	routes, err := s.routes(a, ingress)
	if err != nil || len(routes) == 0 {
		return nil
	}
	return []Answer{{ingress, routes[0]}}
}

// routes asks as a client's packet would. Which client is not known: one behind routers first, then one on the link, since
// with rp_filter the kernel answers only for a source to which the way back is the ingress.
func (s State) routes(a netip.Addr, ingress int) (routes []netlink.Route, err error) {
	if ingress == 0 {
		return s.network.netlink.RouteGet(a.AsSlice())
	}
	for _, source := range s.clients(a, ingress) {
		routes, err = s.routeFrom(a, Arrival{source, ingress})
		if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EINVAL) {
			return routes, err
		}
	}
	return routes, err
}

// clients are addresses of which one may be a client's whose packets come in on an interface.
func (s State) clients(of netip.Addr, ingress int) []netip.Addr {
	if of.Is6() {
		return []netip.Addr{netip.MustParseAddr("2001:db8::1")} // of no matter: there is no rp_filter
	}
	if known, ok := s.arrivals.sources[ingress]; ok {
		return known
	}
	all := []netip.Addr{netip.MustParseAddr("198.51.100.1")}
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: ingress}}
	own, _ := s.network.netlink.AddrList(link, unix.AF_INET) // an error is a link that has gone
	for _, o := range own {
		address, _ := netip.AddrFromSlice(o.IP)
		bits, _ := o.Mask.Size()
		near := netip.PrefixFrom(address.Unmap(), bits).Masked().Addr().Next()
		if near == address.Unmap() {
			near = near.Next()
		}
		all = append(all, near)
	}
	s.arrivals.sources[ingress] = all
	return all
}

// ask asks for the route of one packet. An ingress that would drop it for its source (rp_filter, a source that is an address of
// ours) is left out: bpf_fib_lookup does not look at that either.
func (s State) ask(a netip.Addr, of Arrival) ([]netlink.Route, error) {
	if of.Ingress != 0 {
		routes, err := s.routeFrom(a, of)
		if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EINVAL) {
			return routes, err
		}
	}
	return s.network.netlink.RouteGet(a.AsSlice())
}

// routeFrom asks for the route of a packet with a source that comes in on an interface. For such packets the kernel does not
// say which address of ours it would send from (rt_fill_info), so that is asked apart.
func (s State) routeFrom(a netip.Addr, of Arrival) ([]netlink.Route, error) {
	o := &netlink.RouteGetOptions{IifIndex: of.Ingress, SrcAddr: of.Source.AsSlice()}
	routes, err := s.network.netlink.RouteGetWithOptions(a.AsSlice(), o)
	if err != nil || len(routes) == 0 || routes[0].Src != nil || routes[0].Type != unix.RTN_UNICAST {
		return routes, err
	}
	o.FIBMatch = true
	if entry, err := s.network.netlink.RouteGetWithOptions(a.AsSlice(), o); err == nil && len(entry) > 0 && entry[0].Src != nil {
		routes[0].Src = entry[0].Src
		return routes, nil
	}
	next := routes[0].Gw
	if next == nil {
		next = a.AsSlice()
	}
	out := &netlink.RouteGetOptions{OifIndex: routes[0].LinkIndex}
	if own, err := s.network.netlink.RouteGetWithOptions(next, out); err == nil && len(own) > 0 {
		routes[0].Src = own[0].Src
	}
	return routes, nil
}
