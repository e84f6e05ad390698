package live

import (
	"fmt"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	for _, s := range d.results {
		if !s.scenario.six {
			r.Check(s.reaches())
			r.Control(s.slowed())
		}
	}
	r.Check(d.lost(), d.agree())
	r.Table(d.table())
	figure, err := d.figure()
	r.Figure(figure)
	return err
}

// ratio is the median over the pairs of the rate of some path by that of the bare redirect.
func (s result) ratio(of []round) float64 {
	return measure.Paired(measure.Collect(of, round.rate), measure.Collect(s.plain, round.rate), measure.Ratio)
}

func (s result) reaches() report.Check {
	ratio := s.ratio(s.lbctl)
	return report.Check{
		Name: s.scenario.name + "-of-bare", Pass: ratio >= Target,
		Measured: measure.Round(ratio, 3), Expected: fmt.Sprintf(">= %v", Target),
		Detail: fmt.Sprintf("Packets a second through the balancer by those through a bare redirect: the median of %d pairs of rounds taken in turns.", len(s.lbctl)),
	}
}

// slowed is the control: a slowed redirect must not reach the target.
func (s result) slowed() report.Check {
	ratio := s.ratio(s.control)
	return report.Check{
		Name: s.scenario.name + "-slowed", Pass: ratio < Target,
		Measured: measure.Round(ratio, 3), Expected: fmt.Sprintf("< %v", Target),
		Detail: fmt.Sprintf("A bare redirect that asks the kernel for the time %d times a packet.", slowness),
	}
}

// total sums the rounds of the two paths that are compared.
func (s result) total() (sent, received uint64) {
	for _, list := range [][]round{s.lbctl, s.plain} {
		for _, m := range list {
			sent += m.sent
			received += m.received
		}
	}
	return sent, received
}

func (d *design) lost() report.Check {
	var sent, received uint64
	for _, s := range d.results {
		a, b := s.total()
		sent += a
		received += b
	}
	return report.Check{
		Name: "nothing-lost", Pass: sent == received, Measured: sent - received, Expected: uint64(0),
		Detail: fmt.Sprintf("Frames that the generator sent and the sink did not count, of %s.", report.Cell(sent)),
	}
}

// agree compares the balancer's counters with the generator's.
func (d *design) agree() report.Check {
	var sent, forwarded uint64
	for _, s := range d.results {
		forwarded += s.forwarded
		for _, m := range s.lbctl {
			sent += m.sent
		}
	}
	return report.Check{
		Name: "counters-agree", Pass: sent == forwarded, Measured: forwarded, Expected: sent,
		Detail: "Packets that the balancer counted as forwarded, and those that were sent to it.",
	}
}

func (d *design) table() report.Table {
	t := report.Table{
		Name:    "packets per second",
		Columns: []string{"scenario", "flows", "bare Mpps", "lbctl Mpps", "lbctl/bare", "quiet bare", "quiet lbctl", "above bare ns", "pairs", "sent", "lost"},
	}
	for _, s := range d.results {
		sent, received := s.total()
		bare, lbctl := measure.Collect(s.plain, round.rate), measure.Collect(s.lbctl, round.rate)
		above := measure.Paired(measure.Collect(s.lbctl, round.nanoseconds), measure.Collect(s.plain, round.nanoseconds), measure.Difference)
		t.Rows = append(t.Rows, []any{
			s.scenario.name, s.scenario.flows, measure.Round(measure.Median(bare), 2), measure.Round(measure.Median(lbctl), 2),
			measure.Round(s.ratio(s.lbctl), 3), quiet(bare), quiet(lbctl), measure.Round(above, 1), len(lbctl), sent, sent - received,
		})
	}
	return t
}

// quiet is the rate of an undisturbed machine: one round in twenty exceeds it.
func quiet(rates []float64) float64 { return measure.Round(measure.Quantile(rates, 0.95), 2) }

// figure draws the rates: a bar is the median, the grey box all but the tenth at each end.
func (d *design) figure() (report.Figure, error) {
	var panels []report.Panel
	for _, s := range d.results {
		p := report.Panel{X: s.scenario.name, Y: "million packets/s"}
		want := Target * measure.Median(measure.Collect(s.plain, round.rate))
		for _, part := range []struct {
			label  string
			rounds []round
		}{{"bare", s.plain}, {"lbctl", s.lbctl}, {"slowed", s.control}} {
			rates := measure.Collect(part.rounds, round.rate)
			p.Shares = append(p.Shares, report.Share{
				Label: part.label, Count: measure.Median(rates), Expected: want,
				Low: measure.Quantile(rates, 0.1), High: measure.Quantile(rates, 0.9),
			})
		}
		panels = append(panels, p)
	}
	return report.Shares("rates", "Packets per second through a veth, the balancer and another veth",
		fmt.Sprintf("Live frames on one core. Bars are medians, the grey boxes hold eight of ten rounds, the dashed line is %v of the bare redirect, slowed is the control.", Target), panels...)
}
