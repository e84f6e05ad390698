package sim

import (
	"slices"
	"testing"
	"time"
)

// TestDIM: the sequence of profiles for given rates, worked out by hand from lib/dim/net_dim.c and
// lib/dim/dim.c. DIM begins parked at profile 1, without rates to compare with.
func TestDIM(t *testing.T) {
	fewer := func(events uint64) dimRates { return dimRates{bytes: 6400, packets: 100, events: events} }
	for _, c := range []struct {
		name  string
		rates []dimRates
		want  []int
	}{
		{
			"nothing changes: to and fro until it is tired, and a rest as long",
			slices.Repeat([]dimRates{fewer(100)}, 22),
			[]int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1},
		},
		{
			"fewer interrupts with every step right: to the end, and parked there",
			[]dimRates{fewer(1000), fewer(1200), fewer(900), fewer(700), fewer(500), fewer(300), fewer(300)},
			[]int{0, 1, 2, 3, 4, 4, 4},
		},
		{
			"a step too far right: one back, and parked on top",
			[]dimRates{fewer(1000), fewer(1200), fewer(900), fewer(700), fewer(900), fewer(700), fewer(705)},
			[]int{0, 1, 2, 3, 2, 2, 2},
		},
		{
			"parked, 10 % are no difference, 11 % are, to where it parked",
			[]dimRates{fewer(1000), fewer(1200), fewer(900), fewer(700), fewer(500), fewer(300), fewer(330), fewer(333)},
			[]int{0, 1, 2, 3, 4, 4, 4, 3},
		},
		{
			"more bytes are better whatever interrupts do, then more packets",
			[]dimRates{{1000, 10, 100}, {500, 20, 50}, {600, 10, 500}, {600, 20, 5000}},
			[]int{0, 1, 2, 3},
		},
		{"no traffic: parked", []dimRates{{}, {}, {}}, []int{1, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := dim{profile: dimDefault}
			var got []int
			for _, r := range c.rates {
				d.decide(r)
				got = append(got, d.profile)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("profiles %v, want %v", got, c.want)
			}
		})
	}
}

// TestDIMSamples: a measurement takes 64 interrupts, and a new one begins after a change.
func TestDIMSamples(t *testing.T) {
	d := dim{profile: dimDefault}
	for i, c := range []struct {
		events  uint64
		changed bool
	}{{10, false}, {73, false}, {74, true}, {75, false}, {138, false}, {139, true}} {
		s := dimSample{at: time.Duration(c.events) * time.Microsecond, events: c.events, packets: c.events * 2, bytes: c.events * 128}
		if got := d.sample(s); got != c.changed {
			t.Errorf("sample %d at %d interrupts: changed %t, want %t", i, c.events, got, c.changed)
		}
	}
}
