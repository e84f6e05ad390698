package interrupts

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lbctl/rss/sim"
	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// made is a turn of 100 packets, with counts for each hundred.
func made(interrupts, softirqs, waits uint64) Turn {
	return Turn{Counts: Counts{Interrupts: interrupts, Softirqs: softirqs, Voluntary: waits, Finished: 100, Arrived: 100}, Sent: 100, Sending: time.Second}
}

// idle is a turn in which the processor was used for a share of a second.
func idle(used time.Duration) Turn {
	return Turn{Counts: Counts{Unused: time.Second - used, Elapsed: time.Second}}
}

// rounds are 14 of two set-ups at a rate and with pauses, with the interrupts for each hundred packets.
func rounds(off1, moderated1, off2, moderated2 uint64) *measure.Rounds[Turn] {
	of := func(n uint64) []Turn { return slices.Repeat([]Turn{made(n, n, n)}, 14) }
	return measure.Recorded(map[string][]Turn{off: of(off1), moderated: of(moderated1), off + lightly: of(off2), moderated + lightly: of(moderated2)})
}

// good is evidence by which everything passes.
func good() evidence {
	one, none := made(100, 100, 100), made(2, 2, 0)
	collapse := map[sim.Mode][]Goodput{
		sim.ModeInterrupt: {{1, 0.6}, {3, 0.01}}, sim.ModeNAPI: {{1, 0.7}, {3, 0.6}}, sim.ModeThreaded: {{1, 0.7}, {3, 0.7}}, sim.ModeBusyPoll: {{1, 0.9}, {3, 1}},
	}
	free := map[sim.Mode][]Goodput{}
	for _, mode := range modelled() {
		free[mode] = []Goodput{{1, 1}, {3, 1}}
	}
	return evidence{
		conversation: map[string]Turn{off: one, moderated: one, plain: one, deferred: made(5, 105, 95), threaded: made(100, 0, 100), busy: none},
		light:        map[string]Turn{plain: one, deferred: one},
		idle:         map[string]Turn{plain: idle(0), busy: idle(970 * time.Millisecond)},
		sweep:        map[string][]Turn{plain: {one, made(3, 5, 1)}},
		paced:        rounds(98, 26, 100, 100),
		model:        collapse, free: free,
	}
}

func TestEverythingPasses(t *testing.T) {
	e := good()
	for _, c := range slices.Concat(e.checks(), e.controls()) {
		if !c.Pass {
			t.Errorf("%s: measured %v: %s", c.Name, c.Measured, c.Detail)
		}
	}
}

// Each check fails where its one thing is otherwise, and the others do not care.
func TestChecksCanFail(t *testing.T) {
	for _, c := range []struct {
		fails string
		turn  func(*evidence)
	}{
		{OneEach, func(e *evidence) { e.conversation[off] = made(111, 0, 0) }},
		{OneEach, func(e *evidence) { e.conversation[threaded] = made(89, 0, 0) }},
		{ModerationSaves, func(e *evidence) { e.paced = rounds(100, 60, 100, 100) }},
		{DeferralSaves, func(e *evidence) { e.conversation[deferred] = made(51, 100, 100) }},
		{ThreadsTakeOver, func(e *evidence) { e.conversation[threaded] = made(100, 11, 100) }},
		{PollingNoInterrupts, func(e *evidence) { e.conversation[busy] = made(51, 0, 0) }},
		{PollingNoSleep, func(e *evidence) { e.conversation[busy] = made(0, 0, 11) }},
		{PollingBurns, func(e *evidence) { e.idle[busy] = idle(490 * time.Millisecond) }},
		{OverloadBatches, func(e *evidence) { e.sweep[plain] = []Turn{made(3, 0, 0), made(51, 0, 0)} }},
		{ModelLivelock, func(e *evidence) { e.model[sim.ModeInterrupt][1].Finished = 0.1 }},
		{ModelLivelock, func(e *evidence) { e.model[sim.ModeNAPI][1].Finished = 0.3 }},
		{ModelLivelock, func(e *evidence) { delete(e.model, sim.ModeThreaded) }},
	} {
		e := good()
		c.turn(&e)
		for _, check := range e.checks() {
			if check.Pass == (check.Name == c.fails) {
				t.Errorf("%s is broken: %s passes: %v, measured %v", c.fails, check.Name, check.Pass, check.Measured)
			}
		}
	}
	nothing := evidence{paced: measure.Recorded(map[string][]Turn{})}
	for _, check := range slices.Concat(nothing.checks(), nothing.controls()) {
		if check.Pass {
			t.Errorf("%s passes on nothing", check.Name)
		}
	}
}

// A control fails where its check passes although something was broken.
func TestControlsCanFail(t *testing.T) {
	e := good()
	e.paced, e.light[deferred], e.idle[plain], e.free = rounds(98, 26, 100, 20), made(5, 5, 5), idle(time.Second), e.model
	for _, c := range e.controls() {
		if c.Outcome() != report.Fail {
			t.Errorf("%s: %s, measured %v", c.Name, c.Outcome(), c.Measured)
		}
	}
}

// The model has a livelock with an interrupt for each packet, and none if interrupts cost nothing.
func TestModel(t *testing.T) {
	simulate := func(costs sim.Costs) report.Check {
		all := map[sim.Mode][]Goodput{}
		for i, mode := range modelled() {
			curve, err := model(t.Context(), rand.New(rand.NewPCG(1, uint64(i))), mode, costs)
			if err != nil {
				t.Fatal(err)
			}
			all[mode] = curve
		}
		return livelock(all)
	}
	if c := simulate(modelCosts()); !c.Pass {
		t.Errorf("livelock: %v", c.Measured)
	}
	if c := simulate(sim.Costs{Application: time.Microsecond}); c.Pass {
		t.Errorf("livelock without costs: %v", c.Measured)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := model(ctx, rand.New(rand.NewPCG(1, 1)), sim.ModeNAPI, modelCosts()); !errors.Is(err, context.Canceled) {
		t.Errorf("model after the end: %v", err)
	}
}

func TestCountsSince(t *testing.T) {
	before := Counts{Interrupts: 1, Timer: 2, Softirqs: 3, Arrived: 4, Overflowed: 5, Finished: 6, Voluntary: 7, Involuntary: 8, Unused: 12, Ran: 9, User: 10, Elapsed: 11, Busy: 5}
	after := Counts{Interrupts: 11, Timer: 12, Softirqs: 13, Arrived: 14, Overflowed: 15, Finished: 16, Voluntary: 17, Involuntary: 18, Unused: 22, Ran: 19, User: 20, Elapsed: 31, Busy: 25}
	want := Counts{Interrupts: 10, Timer: 10, Softirqs: 10, Arrived: 10, Overflowed: 10, Finished: 10, Voluntary: 10, Involuntary: 10, Unused: 10, Ran: 10, User: 10, Elapsed: 20, Busy: 14}
	if got := after.since(before); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestParametersAreChecked(t *testing.T) {
	trialtest.Parameters(t, Experiment(), map[string]bool{"rounds=13": false, "packets=19": false, "window=49ms": false, "window=11s": false, "work=-1": false})
}

// The experiment as lbctl lab run interrupts --quick runs it, in a real guest. What moderation saves is undetermined on a
// machine that is busy otherwise.
func TestRun(t *testing.T) {
	outcome := trialtest.Quick(t, Experiment())
	if len(outcome.Figures) != 2 {
		t.Errorf("%d figures", len(outcome.Figures))
	}
}
