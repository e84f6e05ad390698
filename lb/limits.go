package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lbctl/rss/packet"
)

// RateLimit says how much of a service goes to its replicas. The zero value limits nothing.
type RateLimit struct {
	// Packets are all that go to a replica, a second; 0: any number, at most MaxPacketRate.
	Packets uint32
	// NewFlows are the flows that begin, a second; 0: any number, at most MaxFlowRate. One of TCP begins with a SYN without
	// ACK; one of UDP with a packet whose flow is not recorded, so it needs TrackAlways.
	NewFlows uint32
	// Burst is how long a service may save up, of both: so much of what it may have a second it may have at once.
	// Whole milliseconds from MinBurst to MaxBurst, 0 if and only if nothing is limited. One packet and one flow always
	// find room.
	Burst time.Duration
}

// The bounds of a RateLimit, and its Burst where none is named.
const (
	MaxPacketRate = 1_000_000_000
	MaxFlowRate   = 1_000_000
	MinBurst      = time.Millisecond
	MaxBurst      = 10 * time.Second
	DefaultBurst  = time.Second
)

// limits reports whether there is a rate.
func (l RateLimit) limits() bool { return l.Packets != 0 || l.NewFlows != 0 }

// Accepts reports whether the service is for a client. Without SourceRanges it is for all.
func (s Service) Accepts(client netip.Addr) bool {
	return len(s.SourceRanges) == 0 || slices.ContainsFunc(s.SourceRanges, func(p netip.Prefix) bool { return p.Contains(client) })
}

// Sorted returns a copy of the service, sharing nothing with it, whose SourceRanges are sorted.
func (s Service) Sorted() Service {
	s = s.Clone()
	slices.SortFunc(s.SourceRanges, netip.Prefix.Compare)
	return s
}

// sameRanges reports whether two services have the same source ranges, in whatever order.
func sameRanges(a, b Service) bool {
	if slices.Equal(a.SourceRanges, b.SourceRanges) {
		return true
	}
	return len(a.SourceRanges) == len(b.SourceRanges) && slices.Equal(a.Sorted().SourceRanges, b.Sorted().SourceRanges)
}

// rangeProblems finds what is wrong with the source ranges.
func (s Service) rangeProblems(ps *Problems) {
	const field, unicast = "source_ranges", "want a prefix of clients' addresses: 198.51.100.0/24 or 2001:db8::/32"
	first, ofFamily := make(map[netip.Prefix]int, len(s.SourceRanges)), false
	for i, p := range s.SourceRanges {
		add := func(hint, reason string, args ...any) { ps.add(fmt.Sprintf("%s[%d]", field, i), hint, reason, args...) }
		switch a := p.Addr(); {
		case !p.IsValid():
			add(unicast, "no prefix")
		case a.Is4In6() && p.Bits() >= 96:
			add("want "+netip.PrefixFrom(a.Unmap(), p.Bits()-96).Masked().String(), "%v is a range of IPv4 written as IPv6", p)
		case p != p.Masked():
			add("want "+p.Masked().String(), "%v has bits behind the prefix", p)
		default:
			if j, twice := first[p]; twice {
				add("want every range once", "%v is %s[%d] already", p, field, j)
			} else {
				first[p] = i
			}
		}
		ofFamily = ofFamily || p.Addr().Is4() == s.VIP.Address.Addr().Is4()
	}
	if vip := s.VIP.Address.Addr(); len(s.SourceRanges) > 0 && vip.IsValid() && !ofFamily {
		all := "0.0.0.0/0"
		if vip.Is6() {
			all = "::/0"
		}
		ps.add(field, "want one of the VIP's address family at least, or no ranges; "+all+" has all", "no client of %v is in them", vip)
	}
}

// rateProblems finds what is wrong with the rates.
func (s Service) rateProblems(ps *Problems) {
	l := s.RateLimit
	const packets, flows, burst = "rate_limit.packets_per_second", "rate_limit.new_flows_per_second", "rate_limit.burst"
	if l.Packets > MaxPacketRate {
		ps.add(packets, fmt.Sprintf("want 1 to %d, or leave it out", MaxPacketRate), "%d is out of range", l.Packets)
	}
	switch {
	case l.NewFlows > MaxFlowRate:
		ps.add(flows, fmt.Sprintf("want 1 to %d, or leave it out", MaxFlowRate), "%d is out of range", l.NewFlows)
	case l.NewFlows != 0 && s.VIP.Protocol == packet.UDP && s.Tracking != TrackAlways:
		ps.add(flows, "set tracking: always, or limit packets_per_second",
			"%d with udp and tracking %v: only a record tells that a flow of udp is not new", l.NewFlows, s.Tracking)
	}
	switch {
	case !l.limits() && l.Burst != 0:
		ps.add(burst, "leave it out, or limit packets_per_second or new_flows_per_second", "%v of nothing", l.Burst)
	case l.limits() && (l.Burst < MinBurst || l.Burst > MaxBurst || l.Burst%time.Millisecond != 0):
		ps.add(burst, fmt.Sprintf("want whole milliseconds from %v to %v, as in 100ms or 1s", MinBurst, MaxBurst), "%v", l.Burst)
	}
}
