package rings

import (
	"fmt"
	"math"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// evidence is what was found, by policy and round.
type evidence struct{ rounds *measure.Rounds[Round] }

func (r Round) nanoseconds() float64 { return float64(r.CPU) / float64(max(r.Received, 1)) }

// total sums the rounds of a policy.
func (e evidence) total(p Policy) (t Round) {
	for _, r := range e.rounds.All(string(p)) {
		t.Sent += r.Sent
		t.Received += r.Received
		t.Dropped += r.Dropped
		t.Damaged += r.Damaged
		t.Objects += r.Objects
		t.Bytes += r.Bytes
		t.Collections += r.Collections
		t.CPU += r.CPU
		t.Times.Merge(&r.Times)
	}
	return t
}

// each is a number for each frame that was received.
func (r Round) each(n uint64) float64 { return float64(n) / float64(max(r.Received, 1)) }

// checks hold what was found against what was expected.
func (e evidence) checks() []report.Check {
	return []report.Check{
		e.received(AllReceived, Allocate, Pool, Ring), e.allocatesEach(), e.allocatesNothing(RingAllocates, Ring),
		ringCheaper().Check(e.saved()),
	}
}

// received demands that nothing was lost or overwritten.
func (e evidence) received(name string, policies ...Policy) report.Check {
	wrong, sent := 0, 0
	for _, p := range policies {
		t := e.total(p)
		sent += t.Sent
		wrong += t.Sent - t.Received + t.Damaged
	}
	return report.Check{
		Name: name, Pass: wrong == 0 && sent > 0, Measured: wrong, Expected: 0,
		Detail: fmt.Sprintf("Frames that found no buffer, were lost in the kernel, or had changed when their buffer was given back, of %s.", report.Cell(sent)),
	}
}

// What counts as one allocation a frame, and as none. The rest is the sending's, which allocates for each batch of 64.
const (
	least, most = 1.0, 1.3
	almostNone  = 0.3
)

func (e evidence) allocatesEach() report.Check {
	t := e.total(Allocate)
	each := t.each(t.Objects)
	return report.Check{
		Name: AllocatesEach, Pass: each >= least && each <= most && t.Collections > 0, Measured: counted(t), Expected: fmt.Sprintf("%v to %v a frame, collected", least, most),
		Detail: fmt.Sprintf("Objects allocated from the heap for each of %s frames, and cycles of the garbage collector (runtime/metrics).", report.Cell(t.Received)),
	}
}

func (e evidence) allocatesNothing(name string, p Policy) report.Check {
	t := e.total(p)
	return report.Check{
		Name: name, Pass: t.Received > 0 && t.each(t.Objects) <= almostNone && t.Collections == 0, Measured: counted(t), Expected: fmt.Sprintf("<= %v a frame, never collected", almostNone),
		Detail: fmt.Sprintf("Objects allocated from the heap for each of %s frames, and cycles of the garbage collector (runtime/metrics). What is left is the sending's, for each batch of 64 frames.", report.Cell(t.Received)),
	}
}

// counted writes allocations and collections for a reader.
func counted(t Round) string {
	return fmt.Sprintf("%s a frame, collected %s times", report.Cell(measure.Round(t.each(t.Objects), 3)), report.Cell(t.Collections))
}

// ringCheaper is the claim that the ring saves CPU time.
func ringCheaper() measure.Claim {
	return measure.Claim{
		Name: RingCheaper, Want: measure.AtLeast(0), Size: "frames of 1,024 bytes, 1 receiving thread",
		Detail: "Nanoseconds of CPU time of a frame with a buffer of its own, less that with the ring: all threads of the process, in each round.",
	}
}

// saved is the CPU time of a frame that the ring saves.
func (e evidence) saved() measure.Estimate {
	return e.rounds.Pairs(string(Allocate), string(Ring), Round.nanoseconds, measure.Difference).Median(falseAlarm)
}

// controls break what the checks are about.
func (e evidence) controls() []report.Check {
	one := e.total(One)
	return []report.Check{
		experiment.Flips(report.Check{
			Name: OneLoses, Pass: one.Dropped > 0, Measured: one.Dropped, Expected: "> 0",
			Detail: fmt.Sprintf("Frames that found no buffer, of %s: the program keeps the only one.", report.Cell(one.Sent)),
		}, e.received(AllReceived, One)),
		experiment.MustFail(AllocateCollects, "This is demanded of the ring, and asked where each packet has a buffer of its own.", e.allocatesNothing(RingAllocates, Allocate)),
	}
}

func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "objects-allocate", Unit: "objects", Tolerance: 0.3, Question: "A process allocates a buffer for each packet. How many objects does its runtime allocate for each packet?"},
		{Name: "objects-ring", Unit: "objects", Tolerance: 0.3, Question: "The same with a ring of buffers that are made once: how many?"},
		{Name: "cpu-saved", Unit: "%", Factor: 2, Tolerance: 3, Question: "Sending and the read(2) included, what share of the CPU time of a packet of 1,024 bytes, in %, does the ring save?"},
		{Name: "one-loses", Kind: experiment.YesNo, Question: "The ring has one buffer, and the program keeps a packet while the next ones come. Are packets lost?"},
	}
}

// answer enters the headline, and what predictions are held against.
func (e evidence) answer(r *experiment.Run) {
	allocate, ring, one := e.total(Allocate), e.total(Ring), e.total(One)
	saved := e.rounds.Pairs(string(Ring), string(Allocate), Round.nanoseconds, func(ring, allocate float64) float64 { return 100 * (1 - ring/allocate) }).Median(falseAlarm)
	noise := ""
	if saved.Unquiet != "" {
		noise = " (times are those of a busy machine)"
	}
	r.Headline("A buffer for each packet: %s objects a packet, %s collections in %s packets, p99.9 %s us; a ring: %s, %s, %s us, and %s %% less CPU time%s; a ring of one buffer lost %s of %s packets.",
		report.Cell(measure.Round(allocate.each(allocate.Objects), 2)), report.Cell(allocate.Collections), report.Cell(allocate.Received), micros(allocate, 0.999),
		report.Cell(measure.Round(ring.each(ring.Objects), 2)), report.Cell(ring.Collections), micros(ring, 0.999), report.Cell(measure.Round(saved.Value, 1)), noise,
		report.Cell(one.Sent-one.Received), report.Cell(one.Sent))
	r.Quantity(
		report.Quantity{Name: "objects-allocate", Value: allocate.each(allocate.Objects), Unit: "objects"},
		report.Quantity{Name: "objects-ring", Value: ring.each(ring.Objects), Unit: "objects"},
		saved.Quantity("cpu-saved", "%"),
		report.Quantity{Name: "one-loses", Value: one.Dropped > 0},
		e.saved().Quantity("ns-saved", "ns"),
	)
}

// micros is a quantile of how long a frame took.
func micros(r Round, q float64) string {
	return report.Cell(measure.Round(float64(r.Times.Quantile(q))/1e3, 1))
}

// table has a line for each policy.
func (e evidence) table() report.Table {
	t := report.Table{
		Name:    "What a frame costs by where its buffer comes from",
		Columns: []string{"buffers", "frames", "lost", "objects a frame", "bytes a frame", "collections", "CPU ns", "p50 us", "p99 us", "p99.9 us"},
	}
	for _, p := range policies() {
		s := e.total(p)
		t.Rows = append(t.Rows, []any{
			string(p), s.Sent, s.Sent - s.Received, measure.Round(s.each(s.Objects), 3), math.Round(s.each(s.Bytes)), s.Collections,
			math.Round(measure.Median(e.rounds.Sample(string(p), Round.nanoseconds).Values)), micros(s, 0.5), micros(s, 0.99), micros(s, 0.999),
		})
	}
	last := t.Rows[len(t.Rows)-1]
	for i := 3; i < len(last); i++ {
		last[i] = "" // of the few frames that found the only buffer these say nothing
	}
	return t
}

// figure draws how long frames took.
func (e evidence) figure() (report.Figure, error) {
	var all []report.Distribution
	for _, p := range []Policy{Allocate, Pool, Ring} {
		t := e.total(p)
		d := t.Times.Distribution(string(p), 1000)
		d.Marks = append(d.Marks, report.Mark{Name: "p99.9", X: float64(t.Times.Quantile(0.999)) / 1000})
		all = append(all, d)
	}
	return report.Histogram("times", "How long a frame takes by where its buffer comes from",
		"From asking for a buffer to the end of handling, without the sending. Marks are quantiles.",
		report.Axis{Label: "us", Log: true}, all...)
}
