package wakeup

import (
	"fmt"
	"math"
	"slices"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// claims answers the question from the checks.
func claims(checks []report.Check) report.Table {
	return experiment.Claims(checks, experiment.Finding{
		Question: "When does a loop that looks at its workers' results after each event fail, and what cures it?",
		Answer:   "It fails where no other event comes: a lone request is not answered at all, and under events of rate λ its answer waits for 1/λ. Any notice that epoll_wait returns for cures it: an eventfd or a unix socket. A timeout only bounds the delay.",
	})
}

func ms(nanoseconds int64) float64 { return math.Round(float64(nanoseconds)/1e4) / 100 }

// notices is the order of the reports.
var notices = []Notice{None, Timeout, EventFD, SocketPair}

func (e evidence) loneTable() report.Table {
	t := report.Table{
		Name:    "A lone request, by how the loop learns of the result",
		Columns: []string{"notice", "silence, ms", "disk done after, ms", "answer sent after, ms", "another client connected after, ms", "what woke the loop"},
	}
	for _, n := range notices {
		for _, l := range e.lone[n] {
			stimulus := any("not needed")
			if l.Stimulus > 0 {
				stimulus = ms(l.Stimulus - l.Asked)
			}
			t.Rows = append(t.Rows, []any{string(n), ms(int64(l.Silent)), ms(l.Done - l.Asked), ms(l.Sent - l.Asked), stimulus, causeText(l.Cause)})
		}
	}
	return t
}

func causeText(cause int64) string {
	return map[int64]string{causeEvent: "a client's event", causeNotice: "the notice", causeTimeout: "the timeout"}[cause]
}

// seconds returns the delays of a station.
func (e evidence) seconds(s *station) []float64 {
	return measure.Collect(e.of(s), func(a Answer) float64 { return a.Delay().Seconds() })
}

func (e evidence) delayTable() report.Table {
	t := report.Table{
		Name:    "How long answers lay there, under background traffic",
		Columns: []string{"notice", "other events a second", "requests", "mean delay, ms", "expected, ms", "median, ms", "p99, ms"},
	}
	for _, s := range e.stations {
		delays := e.seconds(s)
		expected := any("small")
		if s.Notice == None || s.Notice == Timeout {
			expected = ms(int64(1e9 * e.unit(s)))
		}
		at := func(seconds float64) float64 { return ms(int64(1e9 * seconds)) }
		t.Rows = append(t.Rows, []any{string(s.Notice), s.Rate, len(delays), at(mean(delays)), expected, at(measure.Median(delays)), at(measure.Quantile(delays, 0.99))})
	}
	return t
}

// meanOf is the mean delay of a server in ms, with its interval.
func (e evidence) meanOf(n Notice, rate, falseAlarm float64) measure.Estimate {
	return e.sample(func(r round) float64 { return 1e3 * mean(e.normal(r, n, []float64{rate})) / rate }).Bootstrap(mean, falseAlarm, e.seed)
}

// shown is the error rate of intervals that are shown and not judged.
const shown = 0.025

// answer enters the headline, and what the predictions are held against.
func (e evidence) answer(r *experiment.Run) {
	slow, fast := e.meanOf(None, rates[0], shown), e.meanOf(None, rates[len(rates)-1], shown)
	cure := e.meanOf(SocketPair, rates[0], shown)
	never, pair := e.never(None), e.answers(SocketPairAnswers, SocketPair)
	r.Headline("%v of %v lone requests had no answer until another client connected; with %v other events a second the answer came %.1f ms late, with %v %.1f ms, with a unix socket from worker to loop %.2f ms.",
		never.Measured, never.Expected, rates[0], slow.Value, rates[len(rates)-1], fast.Value, cure.Value)
	timeout := e.normalMean(Timeout, nil)
	timeout.Value, timeout.Low, timeout.High = 50*timeout.Value, 50*timeout.Low, 50*timeout.High
	r.Quantity(
		report.Quantity{Name: "answered-in-silence", Value: !never.Pass},
		slow.Quantity("delay-at-20", "ms"), fast.Quantity("delay-at-200", "ms"), timeout.Quantity("delay-with-timeout", "% of T"),
		report.Quantity{Name: "pair-cures", Value: pair.Pass},
		cure.Quantity("delay-with-pair", "ms"),
	)
}

func (e evidence) figures() ([]report.Figure, error) {
	var all []report.Figure
	for _, draw := range []func() (report.Figure, error){e.loneFigure, e.rateFigure, e.tailFigure} {
		f, err := draw()
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// loneFigure draws the lone request with the shortest silence, with and without a notice.
func (e evidence) loneFigure() (report.Figure, error) {
	var tracks []report.Track
	for _, n := range []Notice{None, SocketPair} {
		if len(e.lone[n]) == 0 {
			continue
		}
		a, what := e.lone[n][0], "no notice: "
		if n != None {
			what = "unix socket: "
		}
		at := func(t int64) float64 { return float64(t-a.Asked) / 1e6 }
		client := report.Track{Name: what + "client", Spans: []report.Span{{To: at(a.Got), Label: "waits for the answer", Idle: true}}}
		worker := report.Track{Name: "worker", Spans: []report.Span{{To: at(a.Done), Label: "disk"}}}
		if n == None {
			worker.Spans = append(worker.Spans, report.Span{From: at(a.Done), To: at(a.Sent), Label: "the result lies there", Idle: true})
		}
		tracks = append(tracks, client, worker)
		if a.Stimulus > 0 {
			tracks = append(tracks, report.Track{Name: "another client", Moments: []report.Moment{{At: at(a.Stimulus), Label: "connects"}}})
		}
	}
	return report.Timeline("lone", "A lone request",
		"The loop sleeps in epoll_wait. Without a notice the result lies there until another client's connection wakes the loop, whenever that is; with a unix socket from worker to loop the answer leaves at once.",
		report.Axis{Label: "time since the request, ms", Max: e.lastOf(None)}, tracks...)
}

// lastOf is when the first lone request was answered, in ms, and some more.
func (e evidence) lastOf(n Notice) float64 {
	if len(e.lone[n]) == 0 {
		return 1
	}
	a := e.lone[n][0]
	return 1.04 * float64(a.Got-a.Asked) / 1e6
}

func (e evidence) rateFigure() (report.Figure, error) {
	var series []report.Series
	for _, n := range []Notice{None, EventFD, SocketPair} {
		s := report.Series{Name: map[Notice]string{None: "no notice", EventFD: "eventfd", SocketPair: "pair of unix sockets"}[n]}
		for _, of := range e.stations {
			if of.Notice == n {
				s.Points = append(s.Points, e.meanOf(n, of.Rate, shown).Point(of.Rate))
			}
		}
		series = append(series, s)
	}
	series[0].Style = report.Dots
	series = append(series, report.Curve("1/λ", rates[0], rates[len(rates)-1], func(x float64) float64 { return 1e3 / x }))
	return report.Lines("rate", "The delay follows 1/λ",
		"Mean time from the end of the disk's read to the answer, by the rate of other clients' events. Whiskers: 95 of 100 such intervals hold the true mean.",
		report.Chart{X: report.Axis{Label: "other events a second, λ", Log: true}, Y: report.Axis{Label: "mean delay, ms", Log: true}, Series: series})
}

// tailFigure draws the share of delays that are longer than a time.
func (e evidence) tailFigure() (report.Figure, error) {
	const most = 5.0
	var series []report.Series
	for _, n := range []Notice{None, Timeout} {
		var values []float64
		for _, r := range e.rounds {
			values = append(values, e.normal(r, n, nil)...)
		}
		slices.Sort(values)
		s := report.Series{Name: map[Notice]string{None: "no notice, all λ", Timeout: "timeout"}[n], Style: report.Dots}
		for i := 0; i < len(values) && values[i] < most; i += max(1, len(values)/60) {
			s.Points = append(s.Points, report.Point{X: values[i], Y: float64(len(values)-i) / float64(len(values))})
		}
		series = append(series, s)
	}
	series = append(series, report.Curve("exponential", 0, most, exponential), report.Curve("uniform", 0, 1.98, func(x float64) float64 { return 1 - x/2 }))
	return report.Lines("tail", "Exponential and uniform delays",
		fmt.Sprintf("Share of delays that are longer than a time, which is given by the expected mean: 1/λ without a notice, T/2 with a timeout of T = %v. Of a Poisson process, the time to the next event is exponential from any moment on; a timeout runs out within T.", e.timeout),
		report.Chart{X: report.Axis{Label: "delay by its expected mean", Max: most}, Y: report.Axis{Label: "share that is longer", Log: true, Min: 0.005, Max: 1}, Series: series})
}
