package fanout

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/lb"
)

func vip(port uint16) lb.VIP {
	return lb.VIP{Address: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), Protocol: 6}
}

func noClose(*Subscription) error { return nil }

// One subscription: its own filter. Several: whatever any of them wants.
func TestFilter(t *testing.T) {
	few := lb.Filter{Reasons: []lb.Reason{lb.NoRoute}, Service: vip(80), Every: 10}
	for name, c := range map[string]struct {
		filters []lb.Filter
		want    lb.Filter
	}{
		"none":           {nil, lb.Filter{Every: 1}},
		"all":            {[]lb.Filter{{}}, lb.Filter{Every: 1}},
		"one":            {[]lb.Filter{few}, few},
		"one of a flow":  {[]lb.Filter{{Service: vip(80), Flow: lb.FlowFilter{Port: 80}, Every: 10}}, lb.Filter{Service: vip(80), Every: 1}},
		"twice the same": {[]lb.Filter{few, few}, lb.Filter{Reasons: []lb.Reason{lb.NoRoute, lb.NoRoute}, Service: vip(80), Every: 1}},
		"other reasons": {
			[]lb.Filter{few, {Reasons: []lb.Reason{lb.Hairpin}, Service: vip(80)}},
			lb.Filter{Reasons: []lb.Reason{lb.NoRoute, lb.Hairpin}, Service: vip(80), Every: 1},
		},
		"every reason":    {[]lb.Filter{few, {Service: vip(80)}}, lb.Filter{Service: vip(80), Every: 1}},
		"before it":       {[]lb.Filter{{Service: vip(80)}, few, few}, lb.Filter{Service: vip(80), Every: 1}},
		"another service": {[]lb.Filter{few, {Reasons: few.Reasons, Service: vip(81)}}, lb.Filter{Reasons: []lb.Reason{lb.NoRoute, lb.NoRoute}, Every: 1}},
		"and the first":   {[]lb.Filter{{Service: vip(80)}, {Service: vip(81)}, {Service: vip(80)}}, lb.Filter{Every: 1}},
	} {
		var p Publisher
		for _, f := range c.filters {
			p.Subscribe(f, noClose)
		}
		options := cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})}
		if diff := cmp.Diff(c.want, p.Filter(), options); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, f := range c.filters {
			for _, r := range lb.Reasons() {
				for _, v := range []lb.VIP{{}, vip(80), vip(81)} {
					if s := (lb.Sample{Reason: r, Service: v}); f.Wants(s) && !p.Filter().Wants(s) {
						t.Errorf("%s: %+v is wanted by a subscriber and filtered out", name, s)
					}
				}
			}
		}
	}
}

// A subscriber that wants one in N gets it, whatever share of it the publisher has already selected.
func TestEvery(t *testing.T) {
	for _, c := range []struct{ wanted, counted, offered, want uint32 }{
		{0, 0, 10, 10}, {1, 1, 10, 10}, {5, 1, 10, 2}, {5, 1, 11, 3}, {5, 5, 2, 2}, {6, 2, 5, 2}, {2, 5, 3, 3},
	} {
		var p Publisher
		w := p.Subscribe(lb.Filter{Every: c.wanted}, noClose)
		for range c.offered {
			p.Publish(lb.Sample{}, c.counted)
		}
		if got := uint32(len(w.Samples())); got != c.want {
			t.Errorf("one in %d, of %d that are one in %d: %d, want %d", c.wanted, c.offered, c.counted, got, c.want)
		}
	}
}
