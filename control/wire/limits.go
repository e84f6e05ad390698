package wire

import (
	"fmt"
	"net/netip"
	"time"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// sourceRanges parses the clients of a service. An empty list would be read by some as all, by others as nobody.
func sourceRanges(ps *intent.Problems, field string, docs []string) (ranges []netip.Prefix) {
	if docs != nil && len(docs) == 0 {
		ps.Add(field, "name one range at least, 198.51.100.0/24 for instance; for all clients, leave it out", "an empty list")
	}
	for n, d := range docs {
		p, err := netip.ParsePrefix(d)
		if err != nil {
			ps.Add(fmt.Sprintf("%s[%d]", field, n), "want a prefix: 198.51.100.0/24 or 2001:db8::/32; of a single client 198.51.100.7/32",
				"%q is not a range of addresses", d)
			continue
		}
		ranges = append(ranges, p)
	}
	if len(ranges) < len(docs) {
		return nil // else package lb would count from others
	}
	return ranges
}

func rateLimit(ps *intent.Problems, field string, d *api.RateLimit) (l lb.RateLimit) {
	if d == nil {
		return l
	}
	l.Packets = rate(ps, field+".packets_per_second", d.PacketsPerSecond, lb.MaxPacketRate)
	l.NewFlows = rate(ps, field+".new_flows_per_second", d.NewFlowsPerSecond, lb.MaxFlowRate)
	if d.PacketsPerSecond == nil && d.NewFlowsPerSecond == nil {
		ps.Add(field, "write packets_per_second or new_flows_per_second, or leave it out", "no rate")
	}
	if d.Burst != "" {
		l.Burst = burst(ps, field+".burst", d.Burst)
	}
	return l
}

// rate refuses 0, which package lb takes for no limit.
func rate(ps *intent.Problems, field string, n *int64, most int64) uint32 {
	switch {
	case n == nil:
		return 0
	case *n < 1 || *n > most:
		ps.Add(field, fmt.Sprintf("want 1 to %d; for any number, leave it out", most), "%d is out of range", *n)
		return 0
	}
	return uint32(*n)
}

// burst refuses 0, which package lb takes for the default; lb checks the range.
func burst(ps *intent.Problems, field string, text api.Duration) time.Duration {
	b, err := time.ParseDuration(string(text))
	if err != nil || b == 0 {
		ps.Add(field, fmt.Sprintf("want whole milliseconds from %v to %v, as in 100ms or 1s", lb.MinBurst, lb.MaxBurst), "%q is not a time to save up", text)
		return lb.DefaultBurst
	}
	return b
}

func sourceRangesOf(s lb.Service) (docs []string) {
	for _, p := range s.SourceRanges {
		docs = append(docs, p.String())
	}
	return docs
}

func rateLimitOf(l lb.RateLimit) *api.RateLimit {
	if l == (lb.RateLimit{}) {
		return nil
	}
	d := &api.RateLimit{Burst: span(l.Burst)}
	if l.Packets != 0 {
		d.PacketsPerSecond = number(l.Packets)
	}
	if l.NewFlows != 0 {
		d.NewFlowsPerSecond = number(l.NewFlows)
	}
	return d
}
