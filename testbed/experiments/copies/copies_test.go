package copies

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
	"lbctl/testbed/trace"
	"lbctl/testbed/xdp"
)

// good is evidence of which every check and control passes: 1 ns for each byte that is copied, 1,000 for a system call.
func good() evidence {
	e := evidence{guest: "6.1", counted: map[key]Counted{}, here: map[key]event{}, bound: "bound", zeroCopy: refused}
	for i, p := range append(paths(), Peek) {
		for _, payload := range []int{minPayload, maxPayload} {
			c := Counted{Passed: all(10, 0), Copies: map[string]int{}, Bytes: map[string]int{}, Called: map[string]int{"copy_from_user": 2}}
			copies := 10
			switch p {
			case Peek:
				i, copies = 0, 20
			case InPlace:
				copies = 0
			}
			if copies > 0 {
				f := probes()[i].function
				c.Copies[f], c.Bytes[f], c.Called[f] = copies, copies*(xdp.HeaderLength+payload), copies
			}
			e.counted[key{p, payload}] = c
			h := event{passed: all(10, 0)}
			if p == Read {
				h.calls, h.all = 10, 10
			}
			if p != Peek {
				e.here[key{p, payload}] = h
			}
		}
	}
	e.rounds = measure.Recorded(turns(1000, 1, 0))
	return e
}

func all(n int, nanoseconds float64) passed {
	return passed{Sent: n, Received: n, CPU: time.Duration(nanoseconds * float64(n))}
}

// turns are 30 rounds in which a call and a byte cost something, and the control's byte something else.
func turns(call, byByte, control float64) map[string][]passed {
	t, random := map[string][]passed{}, rand.New(rand.NewPCG(1, 2))
	for range 30 {
		for _, p := range paths() {
			for _, payload := range payloads() {
				cost := 400 + 5*random.Float64()
				if p != InPlace {
					cost += byByte * float64(payload)
				}
				if p == Read {
					cost += call
				}
				t[key{p, payload}.arm()] = append(t[key{p, payload}.arm()], all(1000, cost))
			}
		}
		t[oneSizeArm] = append(t[oneSizeArm], all(1000, 400+call+byByte*minPayload+control*(maxPayload-minPayload)))
	}
	return t
}

// TestChecks: good evidence passes, and each check and control fails on evidence with one thing wrong.
func TestChecks(t *testing.T) {
	count := func(e *evidence, p Path, change func(*Counted)) {
		c := e.counted[key{p, maxPayload}]
		change(&c)
		e.counted[key{p, maxPayload}] = c
	}
	here := func(e *evidence, p Path, change func(*event)) {
		h := e.here[key{p, minPayload}]
		change(&h)
		e.here[key{p, minPayload}] = h
	}
	read, ring, socket := probes()[0].function, probes()[1].function, probes()[2].function
	for name, tt := range map[string]struct {
		change func(*evidence)
		want   []string
	}{
		"good":                  {func(*evidence) {}, nil},
		"a frame lost":          {func(e *evidence) { count(e, Peek, func(c *Counted) { c.Passed.Sent++ }) }, []string{SameFrames}},
		"a byte changed":        {func(e *evidence) { here(e, Ring, func(h *event) { h.passed.Damaged++ }) }, []string{SameFrames}},
		"read twice":            {func(e *evidence) { count(e, Read, func(c *Counted) { c.Copies[read]++ }) }, []string{ReadCopiesOnce}},
		"read a byte less":      {func(e *evidence) { count(e, Read, func(c *Counted) { c.Bytes[read]-- }) }, []string{ReadCopiesOnce}},
		"ring copies to user":   {func(e *evidence) { count(e, Ring, func(c *Counted) { c.Copies[read] = 10 }) }, []string{RingCopiesOnce}},
		"ring copies nothing":   {func(e *evidence) { count(e, Ring, func(c *Counted) { c.Copies[ring], c.Bytes[ring] = 0, 0 }) }, []string{RingCopiesOnce}},
		"socket copies nothing": {func(e *evidence) { count(e, Socket, func(c *Counted) { clear(c.Copies) }) }, []string{XDPCopiesOnce}},
		"in place copies":       {func(e *evidence) { count(e, InPlace, func(c *Counted) { c.Copies[socket] = 1 }) }, []string{InPlaceNever}},
		"another copy in place": {func(e *evidence) { count(e, InPlace, func(c *Counted) { c.Called["skb_copy"] = 5 }) }, []string{InPlaceNever}},
		"event too often":       {func(e *evidence) { here(e, Ring, func(h *event) { h.all, h.calls = 10, 10 }) }, []string{SameHere}},
		"event of half a frame": {func(e *evidence) { here(e, Read, func(h *event) { h.calls = 9 }) }, []string{SameHere}},
		"not bound":             {func(e *evidence) { e.bound = "no" }, []string{SocketBinds}},
		"bytes are free":        {func(e *evidence) { e.rounds = measure.Recorded(turns(1000, 0, 0)) }, []string{BytesCost, OneSize}},
		"calls are free":        {func(e *evidence) { e.rounds = measure.Recorded(turns(0, 1, 0)) }, []string{CallsCost}},
		"peek copies once":      {func(e *evidence) { e.counted[key{Peek, maxPayload}] = e.counted[key{Read, maxPayload}] }, []string{PeekCopiesTwice}},
		"zero copy works":       {func(e *evidence) { e.zeroCopy = "bound" }, []string{ZeroCopyRefused}},
		"one size has a slope":  {func(e *evidence) { e.rounds = measure.Recorded(turns(1000, 1, 1)) }, []string{OneSize}},
	} {
		e := good()
		tt.change(&e)
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

// TestCount: records of probes count copies and bytes, those of functions count calls.
func TestCount(t *testing.T) {
	var c Counted
	err := c.add([]trace.Record{
		{Name: "skb_copy_bits", Caller: "tpacket_rcv"},
		{Name: "skb_copy_bits", Text: "(skb_copy_bits+0x0/0x2b0) bytes=78"},
		{Name: "__xsk_rcv", Text: "(__xsk_rcv+0x0/0x2b0) begin=18446612682070000000 end=18446612682070001514"},
	})
	want := Counted{
		Copies: map[string]int{"skb_copy_bits": 1, "__xsk_rcv": 1}, Bytes: map[string]int{"skb_copy_bits": 78, "__xsk_rcv": 1514},
		Called: map[string]int{"skb_copy_bits": 1},
	}
	if diff := cmp.Diff(want, c); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	for _, bad := range []string{"", "bytes=many", "begin=1"} {
		if err := c.add([]trace.Record{{Name: "f", Text: bad}}); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
	var e event
	e.count([]trace.Record{{Text: "skbaddr=1 len=78"}, {Text: "skbaddr=1 len=4"}}, 78)
	if e.calls != 1 || e.all != 2 {
		t.Errorf("event %+v, want 1 of 2", e)
	}
}

// TestCopies runs all of it, in a real guest.
func TestCopies(t *testing.T) {
	out := trialtest.Quick(t, Experiment(), "rounds=16", "frames=64")
	if len(out.Result.Tables) != 3 || len(out.Figures) != 1 {
		t.Errorf("%d tables and %d figures", len(out.Result.Tables), len(out.Figures))
	}
}
