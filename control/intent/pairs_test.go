package intent_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"lbctl/control/intent"
	"lbctl/lb"
)

func vip(n int) lb.VIP {
	return lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 80)}
}

// draw returns some services of five, sometimes in another order.
func draw(random *rand.Rand) (all []intent.Service) {
	for n := range random.IntN(5) {
		all = append(all, intent.Service{Name: fmt.Sprint(n), Service: lb.Service{VIP: vip(n)}})
	}
	for range random.IntN(3) {
		if len(all) > 0 {
			n := random.IntN(len(all))
			all = slices.Delete(all, n, n+1)
		}
	}
	if random.IntN(3) == 0 {
		random.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	}
	return all
}

func name(s *intent.Service) string {
	if s == nil {
		return "none"
	}
	return s.Name
}

func in(all []intent.Service, n string) bool {
	return slices.ContainsFunc(all, func(s intent.Service) bool { return s.Name == n })
}

// TestPairs: whatever was added, removed and moved, each service is paired with the one of its name, and found by its VIP.
func TestPairs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		old, next := draw(random), draw(random)
		var want, got [][2]string
		for _, s := range next {
			was := "none"
			if in(old, s.Name) {
				was = s.Name
			}
			want = append(want, [2]string{was, s.Name})
		}
		for _, s := range old {
			if !in(next, s.Name) {
				want = append(want, [2]string{s.Name, "none"})
			}
		}
		for was, is := range intent.Pairs(intent.List(old...), intent.List(next...)) {
			got = append(got, [2]string{name(was), name(is)})
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v want %v", got, want)
		}
		for range intent.Pairs(intent.List(old...), intent.List(next...)) { // it may be stopped
			break
		}
		find := intent.Intent{Services: intent.List(old...)}.Lookup()
		for n := range 6 {
			found := find(random.IntN(6), vip(n))
			if (found != nil) != in(old, fmt.Sprint(n)) || found != nil && found.VIP != vip(n) {
				t.Fatalf("%v of %v: %v", vip(n), old, found)
			}
		}
	}
}
