package lb_test

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// small draws few services of few addresses, so that they get into each other's way. They may be invalid.
func small(t *rapid.T, name string) []lb.Service {
	end := rapid.Custom(func(t *rapid.T) netip.AddrPort {
		return ends(fmt.Sprintf("10.0.0.%d:%d", rapid.IntRange(1, 12).Draw(t, "host"), rapid.IntRange(80, 82).Draw(t, "port")))
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lb.Service {
		s := lb.Service{
			VIP:  lb.VIP{Address: ends(fmt.Sprintf("10.0.0.%d:80", rapid.IntRange(9, 14).Draw(t, "vip"))), Protocol: packet.TCP},
			Mode: lb.Mode(rapid.IntRange(0, 2).Draw(t, "mode")),
		}
		for _, a := range rapid.SliceOfN(end, 0, 3).Draw(t, "replicas") {
			s.Replicas = append(s.Replicas, lb.Replica{Address: a})
		}
		return s.WithDefaults()
	}), 0, 4).Draw(t, name)
}

// TestValidateChange: the short way comes to the same as looking at everything.
func TestValidateChange(t *testing.T) {
	valid, invalid := 0, 0
	limits := lb.Limits{Services: 3, Replicas: 6, Slots: 16}
	rapid.Check(t, func(t *rapid.T) {
		old, next := small(t, "old"), small(t, "next")
		if lb.ValidateAll(old, limits) != nil {
			old = nil
		}
		next = append(next, rapid.SliceOfN(rapid.SampledFrom(append(old, lb.Service{})), 0, 2).Draw(t, "kept")...)
		got, want := lb.ValidateChange(old, next, limits), lb.ValidateAll(next, limits)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		if want == nil {
			valid++
		} else {
			invalid++
		}
	})
	if valid == 0 || invalid == 0 {
		t.Errorf("%d valid, %d invalid", valid, invalid)
	}
}
