package doctor

import (
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// calling are the ports from which servers begin flows, too, by protocol: DNS, NTP, IKE, SIP.
func calling(p packet.Protocol) []uint16 {
	if p == packet.UDP {
		return []uint16{53, 123, 500, 4500, 5060}
	}
	return []uint16{5060}
}

// judgeAnswered says what an answer of a service's replicas is. Where not every flow is recorded nothing tells one from another
// packet: that matters to those who begin flows from the port on which they serve.
func judgeAnswered(_ Facts, s lb.Service) verdict {
	if s.Mode != lb.NAT {
		return verdict{}
	}
	if s.Tracking == lb.TrackAlways {
		return ok("packets of flows that are recorded")
	}
	for _, r := range s.Replicas {
		if port := r.Address.Port(); slices.Contains(calling(s.VIP.Protocol), port) {
			return bad(Warning, "# set tracking: always for the service", "every packet from port %d of a replica, from which servers begin flows, too", port)
		}
	}
	return ok("every packet from the address and port of a replica")
}
