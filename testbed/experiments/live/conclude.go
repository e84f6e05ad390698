package live

import (
	"fmt"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	var noise []measure.Noise
	for _, s := range d.results {
		noise = append(noise, s.rounds.Noise()...)
		r.Check(s.reaches())
		r.Control(s.tooSlow())
	}
	r.Noise = measure.Describe(noise)
	r.Check(d.lost(), d.agree())
	r.Table(d.table())
	figure, err := d.figure()
	r.Figure(figure)
	return err
}

// ratio is the rate of an arm by that of the bare redirect, in each round.
func (s result) ratio(arm string) measure.Sample {
	return s.rounds.Pairs(arm, bareArm, round.rate, measure.Ratio)
}

// reaches judges the share of the bare rate that the balancer reaches.
func (s result) reaches() report.Check {
	return s.claim("-of-bare", "Packets a second through the balancer by those through a bare redirect: the median over rounds taken in turns.").
		Check(s.ratio(lbctlArm).Median(falseAlarm))
}

// tooSlow is the control: a slowed redirect must not reach the target.
func (s result) tooSlow() report.Check {
	return s.claim("-slowed", fmt.Sprintf("A bare redirect that reads the kernel's clock %d times a packet.", slowness)).
		Control(s.ratio(slowedArm).Median(falseAlarm))
}

func (s result) claim(name, detail string) measure.Claim {
	return measure.Claim{
		Name: s.scenario.name + name, Want: measure.AtLeast(s.target()), Detail: detail,
		Size: fmt.Sprintf("2 services of %d replicas, %s flows, 1 core", replicas, report.Cell(s.scenario.flows)),
	}
}

// target is the share of the bare rate that is to be reached.
func (s result) target() float64 {
	if s.scenario.six {
		return TargetV6
	}
	return Target
}

// total sums what was sent and received over the two paths that are compared, in every round.
func (s result) total() (sent, received uint64) {
	for _, arm := range []string{bareArm, lbctlArm} {
		for _, m := range s.rounds.All(arm) {
			sent += m.sent
			received += m.received
		}
	}
	return sent, received
}

// lost demands that every frame arrived.
func (d *design) lost() report.Check {
	var sent, received uint64
	for _, s := range d.results {
		a, b := s.total()
		sent += a
		received += b
	}
	return report.Check{
		Name: "nothing-lost", Pass: sent == received && sent > 0, Measured: sent - received, Expected: uint64(0),
		Detail: fmt.Sprintf("Frames that the generator sent and the sink did not count, of %s.", report.Cell(sent)),
	}
}

// agree compares the balancer's counters with the generator's.
func (d *design) agree() report.Check {
	var sent, forwarded uint64
	for _, s := range d.results {
		forwarded += s.forwarded
		for _, m := range s.rounds.All(lbctlArm) {
			sent += m.sent
		}
	}
	return report.Check{
		Name: "counters-agree", Pass: sent == forwarded && sent > 0, Measured: forwarded, Expected: sent,
		Detail: "Packets that the balancer counted as forwarded, and those that were sent to it.",
	}
}

// rates are those of an arm, by round.
func (s result) rates(arm string) []float64 { return s.rounds.Sample(arm, round.rate).Values }

// table has a line for each scenario.
func (d *design) table() report.Table {
	t := report.Table{
		Name:    "packets per second",
		Columns: []string{"scenario", "flows", "bare Mpps", "lbctl Mpps", "lbctl/bare", "quiet bare", "quiet lbctl", "above bare ns", "rounds", "sent", "lost"},
	}
	for _, s := range d.results {
		sent, received := s.total()
		bare, lbctl := s.rates(bareArm), s.rates(lbctlArm)
		above := s.rounds.Pairs(lbctlArm, bareArm, round.nanoseconds, measure.Difference)
		t.Rows = append(t.Rows, []any{
			s.scenario.name, s.scenario.flows, measure.Round(measure.Median(bare), 2), measure.Round(measure.Median(lbctl), 2),
			measure.Round(measure.Median(s.ratio(lbctlArm).Values), 3), quiet(bare), quiet(lbctl), measure.Round(measure.Median(above.Values), 1), len(lbctl), sent, sent - received,
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
		want := s.target() * measure.Median(s.rates(bareArm))
		for _, arm := range []string{bareArm, lbctlArm, slowedArm} {
			rates := s.rates(arm)
			p.Shares = append(p.Shares, report.Share{
				Label: arm, Count: measure.Median(rates), Expected: want,
				Low: measure.Quantile(rates, 0.1), High: measure.Quantile(rates, 0.9),
			})
		}
		panels = append(panels, p)
	}
	return report.Shares("rates", "Packets per second through a veth, the balancer and another veth",
		fmt.Sprintf("Live frames on one core. Bars are medians, the grey boxes hold eight of ten rounds, the dashed line is %v of the bare redirect, of IPv6 %v; slowed is the control.", Target, TargetV6), panels...)
}
