package peers

import (
	"fmt"
	"slices"

	"lbctl/rss/packet"
	"lbctl/testbed/load"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Target is the least that HTTP through the load balancer must reach of direct.
const Target = 0.95

// falseAlarm is the rate of each verdict on a quantity with noise: at most 11 checks and 3 controls by the default
// peers and works.
const falseAlarm = measure.FalseAlarm / 14

// claim is a claim about a peer, and the sample that it is judged by.
type claim struct {
	measure.Claim
	sample measure.Sample
}

func (c claim) check() report.Check { return c.Check(c.sample.Median(falseAlarm)) }

// control is the claim about the control, which must fail.
func (c claim) control(slow int) report.Check {
	c.Detail = fmt.Sprintf("As %s, but each frame on each wire waits until the kernel's clock was read %d times.", c.Name, slow)
	c.Name += "-" + slowed
	return c.Control(c.sample.Median(falseAlarm))
}

// claims are those about a peer at some work: its share of direct, and that it is ahead of the others.
func (b *bench) claims(w load.Work, peer string) (list []claim) {
	rounds := b.measured[w.Name]
	if rounds == nil || len(rounds.All(peer)) == 0 {
		return nil
	}
	size := fmt.Sprintf("1 service of %d replicas, %d requests at a time, %d CPUs", b.replicaCount, b.concurrency, b.threads)
	add := func(name string, want measure.Bound, sample measure.Sample, detail string) {
		list = append(list, claim{measure.Claim{Name: w.Name + name, Want: want, Size: size, Detail: detail + " " + w.Summary() + "."}, sample})
	}
	if w.Protocol == packet.TCP && len(rounds.All(direct)) > 0 { // it is demanded of HTTP alone
		add("-of-direct", measure.AtLeast(Target), rounds.Pairs(peer, direct, measurement.rate, measure.Ratio),
			"Requests a second through lbctl by those straight to the replicas.")
	}
	if fastest := b.best(w, func(rival string) float64 { return -measure.Median(rounds.Sample(rival, measurement.rate).Values) }); fastest != "" {
		add("-ahead", measure.AtLeast(1), rounds.Pairs(peer, fastest, measurement.rate, measure.Ratio),
			"Requests a second through lbctl by those through the fastest of the others, "+fastest+".")
	}
	if cheapest := b.best(w, func(rival string) float64 { return measure.Median(rounds.Sample(rival, measurement.allCPU).Values) }); cheapest != "" {
		add("-cpu-ahead", measure.AtMost(0), rounds.Pairs(peer, cheapest, measurement.allCPU, measure.Difference),
			"Microseconds of CPU time a request, of balancer, clients, replicas and kernel, less those of the cheapest of the others, "+cheapest+".")
	}
	return list
}

// best returns the rival with the least cost at some work, "" if none was measured.
func (b *bench) best(w load.Work, cost func(rival string) float64) (name string) {
	for _, p := range b.paths {
		if p.role == rival && len(b.measured[w.Name].All(p.name)) > 0 && (name == "" || cost(p.name) < cost(name)) {
			name = p.name
		}
	}
	return name
}

// exact are the checks on quantities without noise, in every round of every work.
func (b *bench) exact() []report.Check {
	failed, asked, missed, broken, tracked := 0, 0, 0, 0, 0
	for _, p := range b.paths {
		if p.untracked {
			tracked += p.tracked
		}
		if p.broken != "" {
			broken++
			continue
		}
		for _, w := range b.works {
			var came arrivals
			all := b.measured[w.Name].All(p.name)
			for _, m := range all {
				asked += m.Requests + m.Errors
				failed += m.Errors
				came = came.add(m.arrivals)
			}
			if len(all) > 0 {
				missed += b.replicaCount - came.reached()
			}
		}
	}
	return []report.Check{{
		Name: "every-peer", Pass: broken == 0, Measured: broken, Expected: 0,
		Detail: "Peers that could not be measured, though the kernel has what they need.",
	}, {
		Name: "every-replica", Pass: missed == 0, Measured: missed, Expected: 0,
		Detail: "Replicas that got, by some peer at some work, no connection and no datagram, as their kernels count them.",
	}, {
		Name: "untracked", Pass: tracked == 0, Measured: tracked, Expected: 0,
		Detail: "Connections that the kernel tracked for peers that must do without, at most after a work.",
	}, {
		Name: "no-errors", Pass: failed == 0, Measured: failed, Expected: 0,
		Detail: fmt.Sprintf("Requests by all peers that were not answered with the right bytes, of %s.", report.Cell(asked)),
	}}
}

// checks compare what was measured with what was promised.
func (b *bench) checks() (checks, controls []report.Check) {
	slow := find(slowed).slow
	for _, w := range b.works {
		for _, c := range b.claims(w, subjectName) {
			checks = append(checks, c.check())
		}
		for _, c := range b.claims(w, slowed) {
			controls = append(controls, c.control(slow))
		}
	}
	return slices.Concat(checks, b.exact()), controls
}
