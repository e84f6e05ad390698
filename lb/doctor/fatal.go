package doctor

import (
	"net/netip"
	"slices"
)

// fatal are the checks whose problems and warnings mean that packets vanish or are misdirected. What shows elsewhere is left
// out: links that are down, neighbours that do not answer. So is what only makes it slower.
func fatal() []string {
	return []string{
		"ethernet", "stacking", "transmit", "send-back", "lro", "vlan-offload", "sender-checksums", "super-packets",
		"forwarding-ipv4", "forwarding-ipv6", "rp-filter", "vip", "address", "route", "on-link", "egress",
	}
}

// Fatal returns the findings by which packets are lost without an error anywhere, as far as that is known. Of VIPs and
// replicas of which the same was seen the first stands for all, with the number of the others.
func Fatal(all []Finding) (found []Finding, others []int) {
	for _, f := range all {
		if f.Severity != Problem && f.Severity != Warning || !slices.Contains(fatal(), f.Name) {
			continue
		}
		_, noAddress := netip.ParseAddr(f.Subject)
		n := slices.IndexFunc(found, func(g Finding) bool {
			return noAddress == nil && g.Name == f.Name && g.Severity == f.Severity && g.Seen == f.Seen
		})
		if n >= 0 {
			others[n]++
			continue
		}
		found, others = append(found, f), append(others, 0)
	}
	return found, others
}
