package acceptqueues

import (
	"fmt"
	"math"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// The names of quantities and predictions.
const (
	wokenByHerd      = "woken-by-epoll"
	wokenByExclusive = "woken-by-exclusive"
	waitsShared      = "waits-shared"
	waitsOwn         = "waits-own"
	speedOwn         = "speed-own"
)

func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: wokenByHerd, Unit: "threads", Tolerance: 0.2, Question: "Some threads (the parameter threads says how many) sleep in epoll_wait, each with an epoll instance of its own, on one listening socket. A connection arrives. How many threads does the kernel wake?"},
		{Name: wokenByExclusive, Unit: "threads", Tolerance: 0.2, Question: "The same with EPOLLEXCLUSIVE: how many?"},
		{Name: waitsShared, Unit: "of 10,000", Factor: 5, Tolerance: 5, Question: "Many connections wait in the queue of one listening socket. One thread on each core accepts them as fast as it can. In how many of 10,000 calls of accept does a thread have to sleep until another one gives the socket's lock back?"},
		{Name: waitsOwn, Unit: "of 10,000", Tolerance: 0.5, Question: "The same with a listening socket for each thread: in how many of 10,000?"},
		{Name: speedOwn, Tolerance: 0.1, Question: "Clients on the same machine connect as fast as they can. By which factor does the number of connections a second change if each thread gets a listening socket of its own?"},
	}
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e := d.found
	r.Check(e.checks()...)
	r.Control(e.controls()...)
	r.Noise = measure.Describe(append(e.drained.Noise(), e.loaded.Noise()...))
	e.answer(r)
	r.Table(e.wakeTable(), e.lockTable(), e.speedTable())
	figure, err := e.figure()
	r.Figure(figure)
	return err
}

// answer enters the headline, and what predictions are held against.
func (e evidence) answer(r *experiment.Run) {
	shared, accepted := e.waits(sharedQueue)
	own, ofOwn := e.waits(ownQueues)
	speed := e.speed()
	r.Headline("A connection woke %s of %d threads in epoll and %s with EPOLLEXCLUSIVE; threads on one listener slept for its lock %s times in %s accepts, with a listener each %s times in %s; their connections a second were %s times as many: %s.",
		report.Cell(measure.Round(e.calm[string(Herd)].each(), 2)), e.threads, report.Cell(measure.Round(e.calm[string(Exclusive)].each(), 2)),
		report.Cell(shared), report.Cell(accepted), report.Cell(own), report.Cell(ofOwn), interval(speed), verdict(speed))
	r.Quantity(
		report.Quantity{Name: wokenByHerd, Value: e.calm[string(Herd)].each(), Unit: "threads"},
		report.Quantity{Name: wokenByExclusive, Value: e.calm[string(Exclusive)].each(), Unit: "threads"},
		report.Quantity{Name: waitsShared, Value: perTenThousand(shared, accepted), Unit: "of 10,000"},
		report.Quantity{Name: waitsOwn, Value: perTenThousand(own, ofOwn), Unit: "of 10,000"},
		speed.Quantity(speedOwn, ""),
		e.cost().Quantity("cpu-own", ""),
	)
}

func perTenThousand(n, of int) float64 { return 1e4 * float64(n) / float64(max(of, 1)) }

// speed is the connections a second with own listeners by those with one for all, of blocking threads.
func (e evidence) speed() measure.Estimate {
	return e.loaded.Pairs(string(Own), string(Blocking), loaded.rate, measure.Ratio).Median(measure.FalseAlarm)
}

// cost is the CPU time of an accept with own listeners by that with one for all.
func (e evidence) cost() measure.Estimate {
	return e.drained.Pairs(ownQueues, sharedQueue, drained.nanoseconds, measure.Ratio).Median(measure.FalseAlarm)
}

// interval writes a ratio and its interval for a reader.
func interval(e measure.Estimate) string {
	return fmt.Sprintf("%.2f (%s)", e.Value, bounds(e))
}

func bounds(e measure.Estimate) string {
	if math.IsInf(e.Low, 0) || math.IsInf(e.High, 0) {
		return "too few quiet rounds for an interval"
	}
	return fmt.Sprintf("%.2f to %.2f", e.Low, e.High)
}

// verdict says what a ratio shows, if anything.
func verdict(e measure.Estimate) string {
	switch {
	case e.Unquiet != "":
		return "undetermined: the machine was not quiet"
	case e.Low > 1:
		return "above 1"
	case e.High < 1:
		return "below 1"
	}
	return "undetermined: within the noise"
}

// wakeTable says what a connection wakes.
func (e evidence) wakeTable() report.Table {
	t := report.Table{
		Name:    "Whom a connection wakes when all threads sleep",
		Columns: []string{"server", "threads", "connections", "threads woken", "a connection", "of these in vain", "saw EAGAIN"},
	}
	for _, name := range serverNames() {
		c := e.calm[name]
		t.Rows = append(t.Rows, []any{name, e.of(name), c.report.Answered, c.wakings, measure.Round(c.each(), 2), max(c.wakings-c.report.Answered, 0), c.empty})
	}
	return t
}

// lockTable says what sharing the lock costs.
func (e evidence) lockTable() report.Table {
	t := report.Table{
		Name:    "One thread on each core accepts what waits in the queue",
		Columns: []string{"listeners", "threads", "accepted", "slept for the lock", "of 10,000", "CPU ns/accept", "accepts/s", "CPU by that of shared", "ratio is"},
	}
	for _, name := range []string{sharedQueue, ownQueues, alone} {
		waits, accepted := e.waits(name)
		n := 1
		if name != alone {
			n = max(e.cores, 2)
		}
		row := []any{
			name, n, accepted, waits, measure.Round(perTenThousand(waits, accepted), 2),
			measure.Round(measure.Median(e.drained.Sample(name, drained.nanoseconds).Values), 0), math.Round(measure.Median(e.drained.Sample(name, drained.rate).Values)), "", "",
		}
		if name == ownQueues {
			row[7], row[8] = interval(e.cost()), verdict(e.cost())
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// speedTable compares connections a second.
func (e evidence) speedTable() report.Table {
	t := report.Table{
		Name:    "Connections a second, clients on the same cores",
		Columns: []string{"server", "threads", "connections/s", "by that of blocking", "ratio is", "EAGAIN of 100 connections"},
	}
	for _, name := range serverNames() {
		answered, empty := 0, int64(0)
		for _, l := range e.loaded.All(name) {
			answered += l.Answered
			empty += l.empty
		}
		by := e.loaded.Pairs(name, string(Blocking), loaded.rate, measure.Ratio).Median(measure.FalseAlarm)
		row := []any{
			name, e.of(name), math.Round(measure.Median(e.loaded.Sample(name, loaded.rate).Values)), interval(by), verdict(by),
			measure.Round(100*float64(empty)/float64(max(answered, 1)), 1),
		}
		if name == string(Blocking) {
			row[3], row[4] = "", ""
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// figure draws what a connection wakes, and how often accept slept for the lock.
func (e evidence) figure() (report.Figure, error) {
	woken := report.Panel{X: "server", Y: "threads woken by a connection"}
	for _, name := range serverNames() {
		woken.Shares = append(woken.Shares, report.Share{Label: name, Count: measure.Round(e.calm[name].each(), 2), Expected: 1, Low: 1, High: 1})
	}
	waits := report.Panel{X: "listener", Y: "sleeps for its lock in 10,000 accepts"}
	for _, name := range []string{sharedQueue, ownQueues, alone} {
		slept, accepted := e.waits(name)
		waits.Shares = append(waits.Shares, report.Share{Label: name, Count: measure.Round(perTenThousand(slept, accepted), 1)})
	}
	return report.Shares("sharing", "What sharing a listening socket costs",
		"Left: threads that the kernel wakes for one connection while all sleep; the dashed line is the one that is needed. Right: how often a thread had to sleep, in 10,000 calls of accept, until another thread gave the listener's lock back.",
		woken, waits)
}
