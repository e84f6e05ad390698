package wakeup

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Names of the checks.
const (
	NeverWithoutEvent = "never-without-event"
	FreedByAnEvent    = "freed-by-an-event"
	EventFDAnswers    = "eventfd-answers"
	SocketPairAnswers = "socket-pair-answers"
	DelayWhenSlow     = "delay-by-1/rate-few"
	DelayWhenFast     = "delay-by-1/rate-many"
	Memoryless        = "exponential"
	EventFDDelay      = "eventfd-delay"
	SocketPairDelay   = "socket-pair-delay"
	TimeoutDelay      = "timeout-delay"
)

// Names of the controls.
const (
	WithNotice      = "with-notice"
	WithoutNotice   = "without-notice"
	NoticeUnderLoad = "notice-under-load"
	UniformDelay    = "uniform-delay"
)

// evidence is what the arms found.
type evidence struct {
	stations []*station
	lone     map[Notice][]lone
	rounds   []round
	timeout  time.Duration
	seed     uint64
	// falseAlarm is that of each check and control that rests on quantities with noise.
	falseAlarm float64
}

// judged is how many checks and controls rest on quantities with noise: they share the false-alarm rate of a run.
const judged = 8

func (e evidence) checks() []report.Check {
	return []report.Check{
		e.never(None), e.freed(), e.answers(EventFDAnswers, EventFD), e.answers(SocketPairAnswers, SocketPair),
		e.delayClaim(DelayWhenSlow, rates[:few]).Check(e.normalMean(None, rates[:few])),
		e.delayClaim(DelayWhenFast, rates[few:]).Check(e.normalMean(None, rates[few:])),
		e.memoryless().Check(e.beyond(None)),
		e.cureClaim(EventFDDelay, EventFD).Check(e.ratio(EventFD)),
		e.cureClaim(SocketPairDelay, SocketPair).Check(e.ratio(SocketPair)),
		e.timeoutClaim().Check(e.normalMean(Timeout, nil)),
	}
}

func (e evidence) controls() []report.Check {
	load, uniform := e.delayClaim(NoticeUnderLoad, rates[:1]), e.memoryless()
	load.Detail = "Mean delay by 1/λ of the server with an eventfd. " + DelayWhenSlow + " would fail."
	uniform.Name, uniform.Detail = UniformDelay, fmt.Sprintf("Share of the delays of the server with a timeout that are longer than %v times their mean, T/2: none can be. %s would fail.", far, Memoryless)
	return []report.Check{
		experiment.MustFail(WithNotice, "", e.never(EventFD)), experiment.MustFail(WithoutNotice, "", e.answers(EventFDAnswers, None)),
		load.Control(e.normalMean(EventFD, rates[:1])), uniform.Control(e.beyond(Timeout)),
	}
}

// never demands that lone requests have no answer before the stimulus.
func (e evidence) never(n Notice) report.Check {
	tried, unanswered, longest := 0, 0, time.Duration(0)
	for _, l := range e.lone[n] {
		tried++
		if l.Stimulus > 0 && l.Sent >= l.Stimulus {
			unanswered++
			longest = max(longest, l.Silent)
		}
	}
	return report.Check{
		Name: NeverWithoutEvent, Measured: unanswered, Expected: tried, Pass: unanswered == tried && tried > 0,
		Detail: fmt.Sprintf("Of %d lone requests with notice by %s, %d had no answer until another client connected, up to %v later, and had one then.", tried, n, unanswered, longest),
	}
}

// answers demands that lone requests are answered without a stimulus.
func (e evidence) answers(name string, n Notice) report.Check {
	tried, answered := 0, 0
	for _, l := range e.lone[n] {
		tried++
		answered += experiment.One(l.Stimulus == 0 && l.Got > 0)
	}
	return report.Check{
		Name: name, Measured: answered, Expected: tried, Pass: answered == tried && tried > 0,
		Detail: fmt.Sprintf("Of %d lone requests with notice by %s, %d were answered though no other client did anything.", tried, n, answered),
	}
}

// freed demands that every answer without notice is sent on a client's event.
func (e evidence) freed() report.Check {
	all, byEvent := 0, 0
	for _, s := range e.stations {
		for _, a := range e.of(s) {
			if s.Notice == None {
				all++
				byEvent += experiment.One(a.Cause == causeEvent)
			}
		}
	}
	return report.Check{
		Name: FreedByAnEvent, Measured: byEvent, Expected: all, Pass: byEvent == all && all > 0,
		Detail: fmt.Sprintf("Of %s answers without notice, the loop sent %s when it had woken up by an event of a client.", report.Cell(all), report.Cell(byEvent)),
	}
}

// onTime is the greatest lateness of a round that counts: see round.late. It adds at most a third to the mean delay where
// other events are many, where the bound is 1.6.
const onTime = 2 * time.Millisecond

func (r round) counts() bool { return r.late <= onTime }

// sample is a figure of each round. Rounds in which the machine was late are left out, and if these are too many it says
// so.
func (e evidence) sample(figure func(round) float64) (s measure.Sample) {
	for _, r := range e.rounds {
		if !r.counts() {
			s.Excluded++
		} else {
			s.Values = append(s.Values, figure(r))
		}
	}
	if late := s.Excluded; float64(len(s.Values)) < measure.MinQuiet*float64(len(e.rounds)) {
		s = measure.Sample{Values: measure.Collect(e.rounds, figure), Unquiet: fmt.Sprintf("in %d of %d rounds threads that had set a clock ran more than %v late", late, len(e.rounds), onTime)}
	}
	return s
}

// of returns all answers of a station under background traffic, noisy rounds included.
func (e evidence) of(s *station) (all []Answer) {
	for _, r := range e.rounds {
		all = append(all, r.answers[s]...)
	}
	return all
}

// unit is the mean delay that a station should have: 1/λ, or half the timeout.
func (e evidence) unit(s *station) float64 {
	if s.Notice == Timeout {
		return e.timeout.Seconds() / 2
	}
	return 1 / s.Rate
}

// normal returns the delays of stations by their unit, of one round.
func (e evidence) normal(r round, n Notice, at []float64) (all []float64) {
	for _, s := range e.stations {
		if s.Notice != n || at != nil && !slices.Contains(at, s.Rate) {
			continue
		}
		for _, a := range r.answers[s] {
			all = append(all, a.Delay().Seconds()/e.unit(s))
		}
	}
	return all
}

func mean(values []float64) float64 { return stat.Mean(values, nil) }

// normalMean is the mean delay by 1/λ (or T/2). Of few requests in a round the mean has the mean of all rounds.
func (e evidence) normalMean(n Notice, at []float64) measure.Estimate {
	return e.sample(func(r round) float64 { return mean(e.normal(r, n, at)) }).Bootstrap(mean, e.falseAlarm, e.seed)
}

// far is a delay, by its expected mean, that a uniform distribution never has, not even on a machine that is a little late.
const far = 2.5

// beyond is the share of delays that are far.
func (e evidence) beyond(n Notice) measure.Estimate {
	k, all := 0, 0
	for _, r := range e.rounds {
		if !r.counts() {
			continue
		}
		for _, v := range e.normal(r, n, nil) {
			all++
			k += experiment.One(v > far)
		}
	}
	share, of := measure.Proportion(k, all, e.falseAlarm), e.sample(func(round) float64 { return 0 })
	share.Excluded, share.Unquiet = of.Excluded, of.Unquiet
	return share
}

// ratio is the delay with a notice by that without, under the same traffic: the median of all rounds.
func (e evidence) ratio(n Notice) measure.Estimate {
	return e.sample(func(r round) float64 {
		return mean(e.normal(r, n, rates[:1])) / mean(e.normal(r, None, rates[:1]))
	}).Median(e.falseAlarm)
}

// size is what the claims were measured at.
func (e evidence) size(of string) string {
	return fmt.Sprintf("%s; one request at a time, %v of disk", of, leastRead)
}

func (e evidence) delayClaim(name string, at []float64) measure.Claim {
	var list []string
	for _, rate := range at {
		list = append(list, report.Cell(rate))
	}
	return measure.Claim{Name: name, Want: measure.Within(0.5, 1.6), Size: e.size("λ of " + strings.Join(list, " and ") + " a second"),
		Detail: "Mean delay by 1/λ without a notice; 1 is expected, and a delay that does not depend on λ cannot meet both checks."}
}

func (e evidence) memoryless() measure.Claim {
	return measure.Claim{Name: Memoryless, Want: measure.Within(0.03, 0.14), Size: e.size("all λ"),
		Detail: fmt.Sprintf("Share of the delays that are longer than %v times 1/λ. An exponential distribution has %.3f, a uniform one of the same mean 0.", far, exponential(far))}
}

func (e evidence) cureClaim(name string, n Notice) measure.Claim {
	return measure.Claim{Name: name, Want: measure.AtMost(0.1), Size: e.size(fmt.Sprintf("λ of %v a second", rates[0])),
		Detail: fmt.Sprintf("Delay with notice by %s by that without, in the same round.", n)}
}

func (e evidence) timeoutClaim() measure.Claim {
	return measure.Claim{Name: TimeoutDelay, Want: measure.Within(0.7, 1.4), Size: fmt.Sprintf("T = %v; one request at a time, reads of random length", e.timeout),
		Detail: "Mean delay by T/2 of the server whose epoll_wait returns after T; 1 is expected."}
}
