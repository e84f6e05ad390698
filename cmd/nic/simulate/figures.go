package simulate

import (
	"fmt"
	"strconv"

	"lbctl/rss/sim"
	"lbctl/testbed/report"
)

// figures are line plots over the swept parameter, and for each mode and for the last run bars.
func (s answer) figures() ([]report.Figure, error) {
	var figures []report.Figure
	var err error
	if s.Parameter != "" {
		if figures, err = s.plots(); err != nil {
			return nil, err
		}
	}
	for _, mode := range s.modes() {
		figure, err := s.timeFigure(mode)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure)
	}
	last := s.Runs[len(s.Runs)-1]
	figure, err := last.queueFigure()
	return append(figures, figure), err
}

// modes returns the modes in the order of the runs.
func (s answer) modes() []sim.Mode {
	var modes []sim.Mode
	for _, r := range s.Runs {
		if len(modes) == 0 || modes[len(modes)-1] != r.Mode {
			modes = append(modes, r.Mode)
		}
	}
	return modes
}

// series returns a line for each mode.
func (s answer) series(y func(run) float64) []report.Series {
	var all []report.Series
	for _, mode := range s.modes() {
		one := report.Series{Name: string(mode)}
		for _, r := range s.Runs {
			if r.Mode == mode {
				one.Points = append(one.Points, report.Point{X: r.x(), Y: y(r)})
			}
		}
		all = append(all, one)
	}
	return all
}

// plots draws lines over the swept parameter.
func (s answer) plots() ([]report.Figure, error) {
	offered := report.Series{Name: "offered", Style: report.Theory}
	for _, r := range s.Runs[:len(s.Runs)/len(s.modes())] {
		offered.Points = append(offered.Points, report.Point{X: r.x(), Y: r.Rate})
	}
	var figures []report.Figure
	for _, p := range []struct {
		name, title, y, caption string
		series                  []report.Series
	}{
		{
			"throughput", "Packets delivered", "packets/s",
			"Packets that the application processed. A line that falls while more is offered is a receive livelock: the cores work on packets that are dropped later.",
			append(s.series(func(r run) float64 { return r.Throughput }), offered),
		},
		{
			"p99", "Latency, 99th percentile", "us",
			"From arrival at the NIC to the end of the application's work, for delivered packets, on a logarithmic scale.",
			s.series(func(r run) float64 { return float64(r.Latency.P99) / 1e3 }),
		},
		{
			"loss", "Packets dropped", "%",
			"A packet that is dropped at a ring costs nothing; one that is dropped at a socket has cost the packet work.",
			s.series(func(r run) float64 { return 100 * r.Loss }),
		},
		{
			"interrupts", "Interrupts", "interrupts/s",
			"Of all cores. NAPI takes fewer interrupts under load; busy polling takes none while it finds packets.",
			s.series(func(r run) float64 { return r.Interrupts }),
		},
		{
			"switches", "Context switches", "switches/s",
			"Of all cores, including switches to idle.",
			s.series(func(r run) float64 { return r.Switches }),
		},
	} {
		figure, err := report.Lines(p.name, p.title, p.caption, report.Chart{
			X: report.Axis{Label: s.parameter()}, Y: report.Axis{Label: p.y, Log: p.name == "p99"}, Series: p.series,
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure)
	}
	return figures, nil
}

// timeFigure draws what the cores of a mode spend their time on, by the parameter.
func (s answer) timeFigure(mode sim.Mode) (report.Figure, error) {
	m := report.Matrix{X: s.parameter(), Y: "activity", Unit: "percent", Rows: timeParts()}
	m.Counts = make([][]float64, len(m.Rows))
	for _, r := range s.Runs {
		if r.Mode != mode {
			continue
		}
		m.Columns = append(m.Columns, strconv.FormatFloat(r.x(), 'g', 3, 64))
		for i, share := range r.Time.parts() {
			m.Counts[i] = append(m.Counts[i], float64(int(1000*share+0.5))/10)
		}
	}
	return report.HeatMap("time-"+string(mode), "Where the time goes: "+string(mode),
		"Of all cores. Softirq, ksoftirqd and busy poll are packet work, by the context that does it.", m)
}

// queueFigure draws the packets offered to each queue and those dropped.
func (r run) queueFigure() (report.Figure, error) {
	offered := report.Panel{X: "receive queue", Y: "packets offered"}
	lost := report.Panel{X: "receive queue", Y: "packets dropped"}
	mean := float64(r.Offered) / float64(len(r.Queues))
	meanLost := float64(r.RingDrops+r.SocketDrops) / float64(len(r.Queues))
	for _, q := range r.Queues {
		label, drops := strconv.Itoa(int(q.Queue)), float64(q.RingDrops+q.SocketDrops)
		offered.Shares = append(offered.Shares, report.Share{Label: label, Count: float64(q.Offered), Expected: mean, Low: mean, High: mean})
		lost.Shares = append(lost.Shares, report.Share{Label: label, Count: drops, Expected: meanLost, Low: meanLost, High: meanLost})
	}
	return report.Shares("queues", "Queues of the last run",
		fmt.Sprintf("Mode %s at %s packets/s. Left: packets that RSS sent to each queue; right: those of them that were dropped. Dashed is the mean.", r.Mode, perSecond(r.Rate)), offered, lost)
}
