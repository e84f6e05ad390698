package acceptqueues

import (
	"fmt"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// evidence is what was found.
type evidence struct {
	threads, cores int
	// calm is by server.
	calm map[string]calm
	// drained are the arrangements sharedQueue, ownQueues and alone, loaded the servers, by round.
	drained *measure.Rounds[drained]
	loaded  *measure.Rounds[loaded]
}

// calm is what happened when connections came one at a time.
type calm struct {
	report Report
	// wakings are how many threads of the server the kernel woke, empty how often one asked for a connection in vain.
	wakings int
	empty   int64
}

// each returns the wake-ups of a connection.
func (c calm) each() float64 { return float64(c.wakings) / float64(max(c.report.Answered, 1)) }

// drained is one filling and draining of a queue.
type drained struct {
	Drained
	filled Report
	// waits is how often a thread slept until another one gave the listener's lock back.
	waits int
}

func (d drained) nanoseconds() float64 { return float64(d.CPU) / float64(max(d.Accepted, 1)) }
func (d drained) rate() float64        { return float64(d.Accepted) / d.Took.Seconds() }

// loaded is one round under load.
type loaded struct {
	Report
	empty int64
}

func (l loaded) rate() float64 { return float64(l.Answered) / l.Took.Seconds() }

// How many wake-ups of a connection count as one, and which share of the threads as all: the kernel may wake a thread for
// another reason, too, and a thread may still be awake.
const (
	almostOne = 1.1
	almostAll = 0.9
)

// checks hold what was found against what was expected.
func (e evidence) checks() []report.Check {
	all := []report.Check{e.answered()}
	for _, c := range []struct {
		name string
		mode Mode
	}{{BlockingWakesOne, Blocking}, {ExclusiveWakesOne, Exclusive}, {OwnWakesOne, Own}} {
		all = append(all, e.wakesOne(c.name, string(c.mode)))
	}
	return append(all, e.neverWaits(OwnNeverWaits, ownQueues))
}

// answered demands that nothing was lost anywhere.
func (e evidence) answered() report.Check {
	failed, asked, why := 0, 0, []string{}
	count := func(r Report) {
		failed += r.Failed
		asked += r.Answered + r.Failed
		if r.Why != "" {
			why = append(why, r.Why)
		}
	}
	for _, name := range serverNames() {
		count(e.calm[name].report)
		for _, l := range e.loaded.All(name) {
			count(l.Report)
		}
	}
	for _, name := range []string{sharedQueue, ownQueues, alone} {
		for _, d := range e.drained.All(name) {
			count(d.filled)
			if missing := d.filled.Answered - d.Accepted; missing != 0 {
				failed += max(missing, -missing)
				why = append(why, fmt.Sprintf("%d connections waited and %d were accepted", d.filled.Answered, d.Accepted))
			}
		}
	}
	return report.Check{
		Name: AllAnswered, Pass: failed == 0 && asked > 0, Measured: failed, Expected: 0,
		Detail: fmt.Sprintf("Connections that were not accepted or not answered, of %s.", report.Cell(asked)) + experiment.But("What went wrong", why[:min(len(why), 3)]),
	}
}

// wakesOne demands that a connection wakes one thread of a server.
func (e evidence) wakesOne(check, name string) report.Check {
	c := e.calm[name]
	return report.Check{
		Name: check, Pass: c.report.Answered > 0 && c.each() <= almostOne && c.each() >= almostAll,
		Measured: measure.Round(c.each(), 3), Expected: fmt.Sprintf("%v to %v", almostAll, almostOne),
		Detail: fmt.Sprintf("Threads that the kernel woke for a connection (event sched_waking), while all %s slept: the mean of %s connections.", threads(e.of(name)), report.Cell(c.report.Answered)),
	}
}

// of is the number of threads of a server.
func (e evidence) of(name string) int {
	if name == alone {
		return 1
	}
	return e.threads
}

func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// neverWaits demands that no thread of an arrangement slept for the listener's lock.
func (e evidence) neverWaits(check, name string) report.Check {
	waits, accepted := e.waits(name)
	return report.Check{
		Name: check, Pass: waits == 0 && accepted > 0, Measured: waits, Expected: 0,
		Detail: fmt.Sprintf("How often a thread slept until another one gave the listener's lock back (event sched_switch, __lock_sock below inet_csk_accept), in %s accepted connections.", report.Cell(accepted)),
	}
}

// waits counts the sleeps for the lock, and the connections accepted, of an arrangement.
func (e evidence) waits(name string) (waits, accepted int) {
	for _, d := range e.drained.All(name) {
		waits += d.waits
		accepted += d.Accepted
	}
	return waits, accepted
}

// controls break what the checks are about.
func (e evidence) controls() []report.Check {
	return []report.Check{e.herd(), e.shared(), e.oneThread()}
}

// herd: without EPOLLEXCLUSIVE every thread is woken.
func (e evidence) herd() report.Check {
	c := e.calm[string(Herd)]
	least := almostAll * float64(e.threads)
	return experiment.Flips(report.Check{
		Name: HerdWakesAll, Pass: c.each() >= least, Measured: measure.Round(c.each(), 3), Expected: ">= " + report.Cell(least),
		Detail: fmt.Sprintf("Threads that the kernel woke for a connection, of %d that slept in epoll_wait without EPOLLEXCLUSIVE: all but one in vain. %s times one of them came back to its program and found no connection (EAGAIN); the others saw that already in the kernel and slept on.",
			e.threads, report.Cell(c.empty)),
	}, e.wakesOne(ExclusiveWakesOne, string(Herd)))
}

// shared: on one listener, threads wait for its lock. Where no two threads ever ran at a time, it is undetermined.
func (e evidence) shared() report.Check {
	aim := e.neverWaits(OwnNeverWaits, sharedQueue)
	c := report.Check{Name: SharedWaits, Pass: !aim.Pass, Measured: aim.Measured, Expected: "> 0", Detail: aim.Detail}
	if waits, accepted := e.waits(sharedQueue); waits == 0 && accepted > 0 {
		c.Verdict = report.Undetermined
		c.Detail += " None did: the threads were never in accept at one moment, because the machine has one core or other work."
		return c
	}
	return experiment.Flips(c, aim)
}

// oneThread: there is nobody to share with, so neither control shows anything.
func (e evidence) oneThread() report.Check {
	c, waits := e.calm[alone], e.neverWaits(OwnNeverWaits, alone)
	woken := e.wakesOne(ExclusiveWakesOne, alone)
	return report.Check{
		Name: OneThread, Pass: waits.Pass && woken.Pass && c.empty == 0, Expected: "1 woken, 0 in vain, 0 waits",
		Measured: fmt.Sprintf("%s woken, %d in vain, %v waits", report.Cell(measure.Round(c.each(), 3)), c.empty, waits.Measured),
		Detail:   "One thread in epoll without EPOLLEXCLUSIVE, and one that drains a queue: what the other controls show comes from sharing, and not from epoll, the queue, or the way to count.",
	}
}
