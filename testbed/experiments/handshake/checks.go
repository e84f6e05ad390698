package handshake

import (
	"fmt"
	"slices"
	"time"

	"lbctl/testbed/capture"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// Names of the checks.
const (
	SYNWithinConnect  = "syn-within-connect"
	SilentOtherwise   = "silent-otherwise"
	EstablishedBefore = "established-before-accept"
	AcceptDoesNothing = "accept-does-nothing"
)

// Names of the controls.
const (
	FastOpen       = "fast-open"
	NoListener     = "no-listener"
	DeferredAccept = "deferred-accept"
	FullBacklog    = "full-backlog"
)

// of returns the evidence of scenarios.
func of(all []Evidence, names ...string) (some []Evidence) {
	for _, e := range all {
		if slices.Contains(names, e.Scenario) {
			some = append(some, e)
		}
	}
	return some
}

// Checks judges the two ways in which a client connects.
func Checks(all []Evidence) []report.Check {
	plain := of(all, blocking, nonblocking)
	return []report.Check{synWithinConnect(plain), silentOtherwise(plain), establishedBefore(plain), acceptDoesNothing(plain)}
}

// Controls judges the other scenarios: in each of them at least one of the checks must fail.
func Controls(all []Evidence) []report.Check {
	fast, deaf, deferred, full := of(all, fastOpen), of(all, noListener), of(all, deferAccept), of(all, fullBacklog)
	return []report.Check{
		experiment.MustFail(FastOpen, "The SYN left at the first write, with its byte.", synWithinConnect(fast), silentOtherwise(fast)),
		experiment.MustFail(NoListener, fmt.Sprintf("The SYN was answered by %s.", answers(deaf)), establishedBefore(deaf)),
		experiment.MustFail(DeferredAccept, "accept was called, and waited, before the client's first byte made the connection.", establishedBefore(deferred)),
		experiment.MustFail(FullBacklog, "accept made room in the queue; what then came was the second client's SYN once more, sent by its own timer.", acceptDoesNothing(full), establishedBefore(full)),
	}
}

// named returns the calls of a name.
func (e Evidence) named(name string) (some []Taken) {
	for _, c := range e.Calls {
		if c.Name == name {
			some = append(some, c)
		}
	}
	return some
}

// rounding is how far the time of a trace is off.
const rounding = time.Microsecond

// at returns the last call that had begun at a time, nil before the first one.
func (e Evidence) at(begun func(Taken) bool) *Taken {
	var last *Taken
	for i, c := range e.Calls {
		if begun(c) {
			last = &e.Calls[i]
		}
	}
	return last
}

// segments returns the segments that belong to a call: they were sent after it began and before the next one did.
func (e Evidence) segments(c Taken) (some []capture.Segment) {
	for _, s := range e.Segments {
		if last := e.at(func(c Taken) bool { return !s.Time.Before(c.BeganAt) }); last != nil && *last == c {
			some = append(some, s)
		}
	}
	return some
}

// states returns the changes of state that belong to a call.
func (e Evidence) states(c Taken) (some []State) {
	for _, s := range e.States {
		if last := e.at(func(c Taken) bool { return s.Time+rounding >= c.Began }); last != nil && *last == c {
			some = append(some, s)
		}
	}
	return some
}

// syn returns the first SYN of a call, nil if it has none that left before it returned.
func (e Evidence) syn(c Taken) *capture.Segment {
	for i, s := range e.Segments {
		if s.SYN && !s.ACK && !s.Time.Before(c.BeganAt) && !s.Time.After(c.EndedAt) {
			return &e.Segments[i]
		}
	}
	return nil
}

// turnsSYNSent tells whether the thread that makes a call changes the socket's state to SYN_SENT meanwhile.
func (e Evidence) turnsSYNSent(c Taken) bool {
	return slices.ContainsFunc(e.States, func(s State) bool {
		return s.To == "SYN_SENT" && s.Thread == threadOf(c.By) && !s.Softirq && s.Time+rounding >= c.Began && s.Time <= c.Ended+rounding
	})
}

func synWithinConnect(all []Evidence) report.Check {
	connects, within, others, own := 0, 0, 0, 0
	for _, e := range all {
		for _, c := range e.Calls {
			is := experiment.One(c.Name == "connect")
			sent := experiment.One(e.syn(c) != nil)
			connects, within, others = connects+is, within+is*sent, others+(1-is)*sent
			own += is * experiment.One(e.turnsSYNSent(c))
		}
	}
	return report.Check{
		Name: SYNWithinConnect, Measured: within, Expected: connects, Pass: within == connects && others == 0 && connects > 0,
		Detail: fmt.Sprintf("Of %d calls of connect, %d had sent a SYN before they returned; of all other calls %d had. In %d of these connects the calling thread itself made the socket SYN_SENT, in no interrupt.", connects, within, others, own),
	}
}

func silentOtherwise(all []Evidence) report.Check {
	packets, loud := 0, map[string]int{}
	for _, e := range all {
		for _, c := range e.Calls {
			n := len(e.segments(c))
			packets += n
			if c.Name != "connect" {
				loud[c.Name] += n
			}
		}
	}
	sum, calls := 0, []string{}
	for name, n := range loud {
		sum += n
		if n > 0 {
			calls = append(calls, fmt.Sprintf("%d of %s", n, name))
		}
	}
	slices.Sort(calls)
	return report.Check{
		Name: SilentOtherwise, Measured: sum, Expected: 0, Pass: sum == 0 && packets > 0,
		Detail: fmt.Sprintf("Of %d packets %d belong to a call that is not connect.%s", packets, sum, experiment.But("They are", calls)),
	}
}

func establishedBefore(all []Evidence) report.Check {
	connects, before, never := 0, 0, 0
	var earliest time.Duration
	for _, e := range all {
		connects += len(e.named("connect"))
		accepts, found := e.named("accept"), 0
		for _, s := range e.States {
			if s.Side != server || s.To != "ESTABLISHED" {
				continue
			}
			found++
			if len(accepts) > 0 && s.Time < accepts[0].Began {
				before++
				if by := accepts[0].Began - s.Time; earliest == 0 || by < earliest {
					earliest = by
				}
			}
		}
		never += len(e.named("connect")) - found
	}
	detail := fmt.Sprintf("Of %d connections %d were ESTABLISHED at the server when accept was called", connects, before)
	if before > 0 {
		detail += fmt.Sprintf(", for %.1f ms or longer", float64(earliest)/float64(time.Millisecond))
	}
	return report.Check{
		Name: EstablishedBefore, Measured: before, Expected: connects, Pass: before == connects && connects > 0,
		Detail: fmt.Sprintf("%s; %d never were.", detail, never),
	}
}

func acceptDoesNothing(all []Evidence) report.Check {
	accepts, packets, changes := 0, 0, 0
	for _, e := range all {
		for _, c := range e.named("accept") {
			accepts++
			packets += len(e.segments(c))
			changes += len(e.states(c))
		}
	}
	return report.Check{
		Name: AcceptDoesNothing, Measured: packets + changes, Expected: 0, Pass: packets+changes == 0 && accepts > 0,
		Detail: fmt.Sprintf("To %d calls of accept belong %d packets and %d changes of a socket's state.", accepts, packets, changes),
	}
}

// answers lists the flags of what servers sent.
func answers(all []Evidence) string {
	seen := map[string]bool{}
	for _, e := range all {
		for _, s := range e.Segments {
			if s.Flow.Source == e.Server {
				seen[s.Flags()] = true
			}
		}
	}
	return list(seen)
}
