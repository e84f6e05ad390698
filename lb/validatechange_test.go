package lb_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// aService draws a service of few addresses, so that several get into each other's way. It may be invalid.
func aService(t *rapid.T) lb.Service {
	s := lb.Service{
		VIP:  lb.VIP{Address: ends(fmt.Sprintf("10.0.0.%d:80", rapid.IntRange(20, 24).Draw(t, "vip"))), Protocol: packet.TCP},
		Mode: rapid.SampledFrom([]lb.Mode{lb.NAT, lb.NAT, lb.NAT, lb.DSR}).Draw(t, "mode"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "replicas") {
		host := rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 20}).Draw(t, "host")
		s.Replicas = append(s.Replicas, lb.Replica{Address: ends(fmt.Sprintf("10.0.0.%d:80", host))})
	}
	return s.WithDefaults()
}

// edited draws a set of services that comes after another one.
func edited(t *rapid.T, old []lb.Service) []lb.Service {
	next := slices.Clone(old)
	for range rapid.IntRange(0, 2).Draw(t, "edits") {
		s := aService(t)
		i := slices.IndexFunc(next, func(o lb.Service) bool { return o.VIP == s.VIP })
		if i >= 0 && rapid.IntRange(0, 5).Draw(t, "twice") > 0 {
			next[i] = s
		} else {
			next = append(next, s)
		}
	}
	return next
}

// TestValidateChange: the short way comes to the same as looking at everything.
func TestValidateChange(t *testing.T) {
	valid, invalid := 0, 0
	limits := lb.Limits{Services: 4, Replicas: 6, Slots: 64}
	try := func(t *rapid.T) {
		var old []lb.Service
		for range 4 {
			if next := edited(t, old); lb.ValidateAll(next, limits) == nil {
				old = next
			}
		}
		next := edited(t, old)
		got, want := lb.ValidateChange(old, next, limits), lb.ValidateAll(next, limits)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		if want == nil {
			valid++
		} else {
			invalid++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			try(t)
		}
	})
	t.Logf("%d valid, %d invalid", valid, invalid)
	if valid == 0 || invalid == 0 {
		t.Error("not both")
	}
}
