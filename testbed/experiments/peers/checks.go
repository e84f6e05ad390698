package peers

import (
	"fmt"
	"math"

	"lbctl/rss/packet"
	"lbctl/testbed/load"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Target is the least that HTTP through the load balancer must reach of direct.
const Target = 0.95

// checks hold what was measured against what was promised.
func (b *bench) checks() (checks, controls []report.Check) {
	failed, asked, missed := 0, 0, 0
	for _, w := range b.works {
		var own *figures
		var slow *figures
		var rivals []figures
		for _, f := range b.figures(w) {
			asked += b.requestsOf(w)
			failed += f.errors
			missed += b.replicaCount - f.arrivals.reached()
			switch f.peer.role {
			case subject:
				own = &f
			case rival:
				rivals = append(rivals, f)
			case control:
				slow = &f
			}
		}
		if own != nil {
			checks = append(checks, own.reaches(w)...)
			checks = append(checks, own.ahead(w, rivals)...)
		}
		if slow != nil {
			controls = append(controls, slow.tooSlow(w, rivals)...)
		}
	}
	broken := 0
	for _, p := range b.paths {
		if p.broken != "" {
			broken++
		}
	}
	return append(checks, report.Check{
		Name: "every-peer", Pass: broken == 0, Measured: broken, Expected: 0,
		Detail: "Peers that could not be measured.",
	}, report.Check{
		Name: "every-replica", Pass: missed == 0, Measured: missed, Expected: 0,
		Detail: "Replicas to which, by some peer at some work, no connection and no datagram came, as their kernels count them.",
	}, report.Check{
		Name: "no-errors", Pass: failed == 0, Measured: failed, Expected: 0,
		Detail: fmt.Sprintf("Requests by all peers that were not answered with the right bytes, of %s.", report.Cell(asked)),
	}), controls
}

func (b *bench) requestsOf(w load.Work) int { return w.Requests(b.requests) * b.rounds }

// reaches is the share of direct, if that was measured. It is asked of HTTP alone.
func (f figures) reaches(w load.Work) []report.Check {
	if math.IsNaN(f.ofDirect) || w.Protocol != packet.TCP {
		return nil
	}
	return []report.Check{{
		Name: w.Name + "-of-direct", Pass: f.ofDirect >= Target, Measured: measure.Round(f.ofDirect, 3), Expected: fmt.Sprintf(">= %v", Target),
		Detail: "Requests a second through lbctl by those straight to the replicas: the median over the rounds. " + w.Summary() + ".",
	}}
}

// tooSlow is the control: lbctl on slow wires must reach neither its share nor be ahead.
func (f figures) tooSlow(w load.Work, rivals []figures) (controls []report.Check) {
	checks := append(f.reaches(w), f.ahead(w, rivals)...)
	for _, c := range checks {
		controls = append(controls, report.Check{
			Name: c.Name + "-" + slowed, Pass: !c.Pass, Measured: c.Measured, Expected: fmt.Sprintf("not %v", c.Expected),
			Detail: fmt.Sprintf("As %s, but on each wire each frame waits until the kernel was asked for the time %d times.", c.Name, f.peer.slow),
		})
	}
	return controls
}

// ahead compares with the best of the others: in requests a second, and in CPU time a request.
func (f figures) ahead(w load.Work, rivals []figures) []report.Check {
	if len(rivals) == 0 {
		return nil
	}
	fastest, cheapest := rivals[0], rivals[0]
	for _, r := range rivals[1:] {
		if r.rate > fastest.rate {
			fastest = r
		}
		if r.cost() < cheapest.cost() {
			cheapest = r
		}
	}
	return []report.Check{
		{
			Name: w.Name + "-ahead", Pass: f.rate > fastest.rate, Measured: measure.Round(f.rate, 0),
			Expected: fmt.Sprintf("> %s (%s)", report.Cell(measure.Round(fastest.rate, 0)), fastest.peer.name),
			Detail:   "Requests a second, beside the fastest of the others. " + w.Summary() + ".",
		},
		{
			Name: w.Name + "-cpu-ahead", Pass: f.cost() < cheapest.cost(), Measured: measure.Round(f.cost(), 2),
			Expected: fmt.Sprintf("< %v (%s)", measure.Round(cheapest.cost(), 2), cheapest.peer.name),
			Detail:   "Microseconds of CPU time a request, of balancer, clients, replicas and kernel, less those of direct, beside the cheapest of the others.",
		},
	}
}
