package peers

import (
	"fmt"

	"lbctl/rss/packet"
	"lbctl/testbed/bench/load"
	"lbctl/testbed/bench/stat"
	"lbctl/testbed/report"
)

// Target is the least that HTTP through the load balancer must reach of direct.
const Target = 0.95

// checks hold what was measured against what was promised.
func (b *bench) checks() (checks, controls []report.Check) {
	failed, asked := 0, 0
	for _, w := range b.works {
		var own *figures
		var rivals []figures
		for _, f := range b.figures(w) {
			asked += b.requestsOf(w)
			failed += f.errors
			switch f.peer.role {
			case subject:
				own = &f
			case rival:
				rivals = append(rivals, f)
			case control:
				controls = append(controls, slow(w, f))
			}
		}
		if own != nil {
			checks = append(checks, own.reaches(w, b.base(w))...)
			checks = append(checks, own.ahead(w, rivals)...)
		}
	}
	return append(checks, report.Check{
		Name: "no-errors", Pass: failed == 0, Measured: failed, Expected: 0,
		Detail: fmt.Sprintf("Requests by all peers that were not answered with the right bytes, of %s.", report.Cell(asked)),
	}), controls
}

// base tells whether direct was measured.
func (b *bench) base(w load.Work) bool { return len(b.of(w, direct)) > 0 }

func (b *bench) requestsOf(w load.Work) int { return w.Requests(b.requests) * b.rounds }

// reaches is the share of direct, which is asked of HTTP alone.
func (f figures) reaches(w load.Work, base bool) []report.Check {
	if !base || w.Protocol != packet.TCP {
		return nil
	}
	return []report.Check{{
		Name: w.Name + "-of-direct", Pass: f.ofDirect >= Target, Measured: stat.Round(f.ofDirect, 3), Expected: fmt.Sprintf(">= %v", Target),
		Detail: "Requests a second through lbctl by those straight to the replicas: the median over the rounds. " + w.Summary() + ".",
	}}
}

// slow is the control: lbctl between slow hosts must not reach its share.
func slow(w load.Work, f figures) report.Check {
	return report.Check{
		Name: w.Name + "-" + slowed, Pass: f.ofDirect < Target, Measured: stat.Round(f.ofDirect, 3), Expected: fmt.Sprintf("< %v", Target),
		Detail: fmt.Sprintf("As %s-of-direct, but the hosts ask the kernel for the time %d times for each packet they receive.", w.Name, f.peer.slow),
	}
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
			Name: w.Name + "-ahead", Pass: f.rate > fastest.rate, Measured: stat.Round(f.rate, 0),
			Expected: fmt.Sprintf("> %s (%s)", report.Cell(stat.Round(fastest.rate, 0)), fastest.peer.name),
			Detail:   "Requests a second, beside the fastest of the others. " + w.Summary() + ".",
		},
		{
			Name: w.Name + "-cpu-ahead", Pass: f.cost() < cheapest.cost(), Measured: stat.Round(f.cost(), 2),
			Expected: fmt.Sprintf("< %v (%s)", stat.Round(cheapest.cost(), 2), cheapest.peer.name),
			Detail:   "Microseconds of CPU time a request, of balancer, clients, replicas and kernel, less those of direct, beside the cheapest of the others.",
		},
	}
}
