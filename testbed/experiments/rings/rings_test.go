package rings

import (
	"slices"
	"testing"
	"time"

	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// good is what rounds find of which every check and control passes.
func good() map[Policy]Round {
	return map[Policy]Round{
		Allocate: {Sent: 1000, Received: 1000, Objects: 1100, Bytes: 2_100_000, Collections: 1, CPU: time.Millisecond},
		Pool:     {Sent: 1000, Received: 1000, Objects: 200, CPU: 600 * time.Microsecond},
		Ring:     {Sent: 1000, Received: 1000, Objects: 100, CPU: 500 * time.Microsecond},
		One:      {Sent: 1000, Received: 1, Dropped: 999, Objects: 100, CPU: time.Millisecond},
	}
}

func found(rounds map[Policy]Round) evidence {
	turns := map[string][]Round{}
	for p, r := range rounds {
		for range 20 {
			turns[string(p)] = append(turns[string(p)], r)
		}
	}
	return evidence{measure.Recorded(turns)}
}

// TestChecks: good evidence passes, and each check and control fails on evidence with one thing wrong.
func TestChecks(t *testing.T) {
	for name, tt := range map[string]struct {
		policy Policy
		change func(*Round)
		want   []string
	}{
		"good":                      {Ring, func(*Round) {}, nil},
		"lost in the kernel":        {Pool, func(r *Round) { r.Received-- }, []string{AllReceived}},
		"no buffer":                 {Ring, func(r *Round) { r.Received, r.Dropped = 999, 1 }, []string{AllReceived}},
		"overwritten":               {Ring, func(r *Round) { r.Damaged = 1 }, []string{AllReceived}},
		"no allocation":             {Allocate, func(r *Round) { r.Objects = 999 }, []string{AllocatesEach}},
		"two allocations":           {Allocate, func(r *Round) { r.Objects = 2000 }, []string{AllocatesEach}},
		"never collected":           {Allocate, func(r *Round) { r.Collections = 0 }, []string{AllocatesEach}},
		"allocates like nothing":    {Allocate, func(r *Round) { r.Objects, r.Collections = 300, 0 }, []string{AllocatesEach, AllocateCollects}},
		"ring allocates":            {Ring, func(r *Round) { r.Objects = 301 }, []string{RingAllocates}},
		"ring is collected":         {Ring, func(r *Round) { r.Collections = 1 }, []string{RingAllocates}},
		"ring is dearer":            {Ring, func(r *Round) { r.CPU = 2 * time.Millisecond }, []string{RingCheaper}},
		"the only buffer is enough": {One, func(r *Round) { r.Received, r.Dropped = 1000, 0 }, []string{OneLoses}},
	} {
		rounds := good()
		r := rounds[tt.policy]
		tt.change(&r)
		rounds[tt.policy] = r
		e := found(rounds)
		var failed []string
		for _, c := range slices.Concat(e.checks(), e.controls()) {
			if c.Outcome() == report.Fail {
				failed = append(failed, c.Name)
			}
		}
		if !slices.Equal(failed, tt.want) {
			t.Errorf("%s: %v failed, want %v", name, failed, tt.want)
		}
	}
}

// TestSlots: a ring gives out as many buffers as it has, all different, the oldest again when it is back, and the newest at once
// when it was not used.
func TestSlots(t *testing.T) {
	s := newSlots(3)
	var out [][]byte
	for range 3 {
		out = append(out, s.get())
	}
	if s.get() != nil {
		t.Error("a fourth buffer of three")
	}
	if &out[0][0] == &out[1][0] || &out[1][0] == &out[2][0] || len(out[0]) != bufferSize || cap(out[0]) != bufferSize {
		t.Error("buffers overlap")
	}
	s.put(out[2])
	if b := s.get(); b == nil || &b[0] != &out[2][0] {
		t.Error("the newest buffer is not given out again")
	}
	s.put(out[0])
	if b := s.get(); b == nil || &b[0] != &out[0][0] {
		t.Error("the oldest buffer is not given out again")
	}
	if s.get() != nil {
		t.Error("a buffer that is out is given out again")
	}
}

// TestWindow: a frame is given back when as many others have come as the window holds, and then one that has changed is seen.
func TestWindow(t *testing.T) {
	s, round := newSlots(3), &Round{}
	w := newWindow(s, 2, []byte("ab"), round)
	for range 5 {
		b := s.get()
		if b == nil {
			t.Fatal("no buffer: the window keeps more than two")
		}
		w.keep(append(b[:0], "ab"...))
	}
	w.kept[w.next][0] = 'x'
	w.empty()
	if round.Damaged != 1 || s.taken != s.returned {
		t.Errorf("%d damaged, %d buffers out, want 1 and 0", round.Damaged, s.taken-s.returned)
	}
}

func TestParametersAreChecked(t *testing.T) {
	trialtest.Parameters(t, Experiment(), map[string]bool{"slots=65": true, "slots=64": false, "window=127": true, "window=128": false, "live=22": true, "live=23": false})
}

// TestRings runs all of it with real frames.
func TestRings(t *testing.T) {
	out := trialtest.Quick(t, Experiment())
	if len(out.Result.Tables) != 1 || len(out.Figures) != 1 {
		t.Errorf("%d tables and %d figures", len(out.Result.Tables), len(out.Figures))
	}
}
