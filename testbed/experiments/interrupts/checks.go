package interrupts

import (
	"fmt"
	"math"

	"lbctl/rss/sim"
	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// The checks and controls.
const (
	OneEach             = "one-interrupt-a-packet"
	ModerationSaves     = "moderation-saves"
	DeferralSaves       = "deferral-saves"
	ThreadsTakeOver     = "threads-take-softirqs"
	PollingNoInterrupts = "polling-needs-no-interrupts"
	PollingNoSleep      = "polling-does-not-wait"
	PollingBurns        = "polling-burns-a-core"
	OverloadBatches     = "overload-batches"
	ModelLivelock       = "model-livelock"

	ModerationLight = "moderation-at-light-load"
	DeferralLight   = "deferral-at-light-load"
	BlockingIdle    = "blocking-when-idle"
	FreeInterrupts  = "model-without-overhead"
)

// The bounds. Counts are exact; what is between about 1 and about 0 leaves room for what a driver does by itself: an
// e1000 raises an interrupt every 2 s, and a packet may come before the NIC is masked again. A receiver that polls
// shares the core with the kernel's threads, and the NIC interrupts where it is late; one that sleeps uses none of it.
const (
	half     = 0.5
	nextToNo = 0.1
	around   = 0.1
)

// perPacket is a count for each packet that the receiver finished.
func perPacket(n uint64, t Turn) float64 { return float64(n) / float64(t.Finished) }

func (t Turn) interrupts() float64 { return perPacket(t.Interrupts, t) }
func (t Turn) softirqs() float64   { return perPacket(t.Softirqs, t) }
func (t Turn) waits() float64      { return perPacket(t.Voluntary, t) }

// used is the share of the time that the processor had something to do.
func (t Turn) used() float64 { return 1 - float64(t.Unused)/float64(t.Elapsed) }

// arrivedFor is a count for each packet that arrived, finished or not.
func (t Turn) arrivedFor(n uint64) float64 { return float64(n) / float64(t.Arrived) }

// count makes a check of a figure that must be within two bounds. NaN is within none.
func count(name string, value, low, high float64, detail string, values ...any) report.Check {
	expected := "<= " + report.Cell(high)
	switch {
	case math.IsInf(high, 1):
		expected = ">= " + report.Cell(low)
	case low > 0:
		expected = fmt.Sprintf("%s to %s", report.Cell(low), report.Cell(high))
	}
	c := report.Check{Name: name, Expected: expected, Pass: value >= low && value <= high, Detail: fmt.Sprintf(detail, values...)}
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		c.Measured = measure.Round(value, 3)
	}
	return c
}

// checks judges what was found.
func (e evidence) checks() []report.Check {
	c := e.conversation
	return []report.Check{
		e.oneEach(), moderationSaves().Check(e.moderation("")), e.deferralSaves(c),
		count(ThreadsTakeOver, c[threaded].softirqs(), 0, nextToNo, "Softirqs of reception for each packet, polls in a thread; %s without the thread.", number(c[plain].softirqs())),
		count(PollingNoInterrupts, c[busy].interrupts(), 0, half, "Interrupts for each of %d packets; %s of a receiver that sleeps.", c[busy].Finished, number(c[plain].interrupts())),
		count(PollingNoSleep, c[busy].waits(), 0, nextToNo, "Voluntary context switches of the receiver for each packet; %s of one that sleeps.", number(c[plain].waits())),
		e.burns(busy), e.overload(), livelock(e.model),
	}
}

// controls breaks checks: batching at a light load, a receiver that sleeps, interrupts that cost nothing.
func (e evidence) controls() []report.Check {
	light := moderationSaves().Control(e.moderation(lightly))
	light.Name = ModerationLight
	deferral, idle, free := e.deferralSaves(e.light), e.burns(plain), livelock(e.free)
	return []report.Check{
		light,
		experiment.Flips(report.Check{
			Name: DeferralLight, Measured: deferral.Measured, Expected: "not " + fmt.Sprint(deferral.Expected), Pass: e.light[plain].Finished > 0,
			Detail: fmt.Sprintf("With pauses of %v the NIC is not masked any more when the next packet comes.", pause),
		}, deferral),
		experiment.Flips(report.Check{
			Name: BlockingIdle, Measured: idle.Measured, Expected: "not " + fmt.Sprint(idle.Expected), Pass: e.idle[plain].Elapsed > 0,
			Detail: "The receiver of virtio-net without polling sleeps until a packet comes.",
		}, idle),
		experiment.Flips(report.Check{
			Name: FreeInterrupts, Measured: free.Measured, Expected: "not " + fmt.Sprint(free.Expected), Pass: len(e.free) > 0,
			Detail: "The application has the whole core, whatever the mode.",
		}, free),
	}
}

// oneEach is about the set-up that is worst, of those without batching.
func (e evidence) oneEach() report.Check {
	worst := math.NaN()
	for _, name := range []string{off, plain, threaded} {
		if v := e.conversation[name].interrupts(); !(math.Abs(v-1) <= math.Abs(worst-1)) {
			worst = v
		}
	}
	c := e.conversation
	return count(OneEach, worst, 1-around, 1+around, "Interrupts for each packet, of the set-up that is furthest from 1: %s of e1000, %s of virtio-net, %s with polls in a thread.",
		number(c[off].interrupts()), number(c[plain].interrupts()), number(c[threaded].interrupts()))
}

// moderationSaves is about a quantity with noise: how far packets are apart when they come to the guest depends on the
// machine.
func moderationSaves() measure.Claim {
	return measure.Claim{
		Name: ModerationSaves, Want: measure.AtMost(half), Size: fmt.Sprintf("%d packets/s, an interrupt in %v at most", pacedRate, interval),
		Detail: "Interrupts for each packet of an e1000 with moderation, of those without, in pairs of rounds.",
	}
}

// moderation is the ratio of interrupts for each packet, with moderation by without.
func (e evidence) moderation(suffix string) measure.Estimate {
	return e.paced.Pairs(moderated+suffix, off+suffix, Turn.interrupts, measure.Ratio).Median(measure.FalseAlarm)
}

func (e evidence) deferralSaves(at map[string]Turn) report.Check {
	return count(DeferralSaves, at[deferred].interrupts()/at[plain].interrupts(), 0, half,
		"Interrupts for each packet of virtio-net with deferred interrupts (%s), of those without (%s).", number(at[deferred].interrupts()), number(at[plain].interrupts()))
}

func (e evidence) burns(name string) report.Check {
	return count(PollingBurns, e.idle[name].used(), half, math.Inf(1), "The share of the guest's core that was used with the receiver of %s while nothing came for %v.", name, e.idle[name].Elapsed.Round(1e6))
}

// overload is about the highest rate of the sweep, and the NIC without any setting.
func (e evidence) overload() report.Check {
	var t Turn
	if all := e.sweep[plain]; len(all) > 0 {
		t = all[len(all)-1]
	}
	return count(OverloadBatches, t.arrivedFor(t.Interrupts), 0, half, "Interrupts for each packet that arrived by virtio-net, of %s sent at %s packets/s; the receiver finished %s.",
		report.Cell(t.Sent), report.Cell(math.Round(t.rate())), report.Cell(t.Finished))
}

// rate is that at which the host sent.
func (t Turn) rate() float64 { return float64(t.Sent) / t.Sending.Seconds() }

// livelock is about the last load of the model. It compares what is finished there with the best of the mode.
func livelock(model map[sim.Mode][]Goodput) report.Check {
	left := func(mode sim.Mode) float64 {
		best, last := 0.0, math.NaN()
		for _, g := range model[mode] {
			best, last = max(best, g.Finished), g.Finished
		}
		return last / best
	}
	interrupt, poll := left(sim.ModeInterrupt), min(left(sim.ModeNAPI), left(sim.ModeThreaded), left(sim.ModeBusyPoll))
	return report.Check{
		Name: ModelLivelock, Pass: interrupt <= nextToNo && poll >= half,
		Measured: fmt.Sprintf("%s and %s", number(interrupt), number(poll)), Expected: fmt.Sprintf("<= %v and >= %v", nextToNo, half),
		Detail: fmt.Sprintf("A simulation, not a measurement: what the application finishes at %d times the capacity, of its best at any load, with an interrupt for each packet; and with polls, of the worst of three ways.", overload),
	}
}

// number writes a figure for a reader.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "none"
	}
	return report.Cell(measure.Round(v, 3))
}
