package oneport

import (
	"fmt"
	"slices"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Names of the checks.
const (
	SharedServes     = "shared-socket-serves"
	PassedServes     = "passed-sockets-serve"
	WorkersServe     = "disk-workers-serve"
	ReusePortStrands = "reuseport-strands"
	KeptWait         = "old-connections-wait"
	NothingLost      = "nothing-lost"
)

// Names of the controls.
const (
	NothingBlocked = "nothing-blocked"
	OwnSockets     = "sockets-of-their-own"
	PassedInTurn   = "passed-in-turn"
	KeptByWorkers  = "old-connections-and-disk-workers"
)

// Checks judges all designs.
func Checks(all map[Design]*Result) []report.Check {
	return []report.Check{
		serves(SharedServes, all[Shared]), serves(PassedServes, all[Passed]), serves(WorkersServe, all[Workers]),
		strands(ReusePortStrands, all[ReusePort], all[ReusePort].Busy), keptWait(all[Shared], all[Passed], all[ReusePort]), nothingLost(all),
	}
}

// Controls asks the checks where they must fail.
func Controls(all map[Design]*Result) []report.Check {
	return []report.Check{
		experiment.MustFail(NothingBlocked, "", strands(ReusePortStrands, all[ReusePort], all[ReusePort].Free)),
		experiment.MustFail(OwnSockets, "", serves(SharedServes, all[ReusePort])),
		experiment.MustFail(PassedInTurn, "", serves(PassedServes, all[InTurn])),
		experiment.MustFail(KeptByWorkers, "", keptWait(all[Workers])),
	}
}

// stranded counts the answers that came only after the disk was released.
func (r *Result) stranded(answers []Answer) (n int) {
	for _, a := range answers {
		n += experiment.One(a.Answered >= r.Released)
	}
	return n
}

// serves demands that no new connection waits.
func serves(name string, r *Result) report.Check {
	n := r.stranded(r.Busy)
	return report.Check{
		Name: name, Measured: n, Expected: 0, Pass: n == 0 && len(r.Busy) > 0,
		Detail: fmt.Sprintf("Of %s new connections, while one process of %s was blocked, %s were not answered before the disk was.", report.Cell(len(r.Busy)), r.Design, report.Cell(n)),
	}
}

// sharers is among how many processes new connections are shared out.
func (r *Result) sharers() int { return len(r.Processes) - 1 } // the master answers nothing

// strands demands that 1/n of new connections wait: the interval of their share must hold it. It is a matter of chance
// alone, of source ports and their hash, and not of how busy the machine is.
func strands(name string, r *Result, answers []Answer) report.Check {
	want := 1 / float64(r.sharers())
	share := measure.Proportion(r.stranded(answers), len(answers), measure.FalseAlarm/2)
	return report.Check{
		Name: name, Measured: measure.Round(share.Value, 3), Expected: measure.Round(want, 3), Pass: len(answers) > 0 && share.Low <= want && want <= share.High,
		Detail: fmt.Sprintf("Of %s new connections to %d processes %s waited for the blocked one: a share of %.3f, where chance puts 1/%d.", report.Cell(len(answers)), r.sharers(), report.Cell(r.stranded(answers)), share.Value, r.sharers()),
		Estimate: &report.Estimate{
			Low: &share.Low, High: &share.High, Test: share.Test, FalseAlarm: share.FalseAlarm, Samples: share.Samples,
			Size: fmt.Sprintf("%d processes", r.sharers()),
		},
	}
}

// keptWait demands of old connections that exactly those wait that the blocked process has.
func keptWait(all ...*Result) report.Check {
	sum, owned, wrong := 0, 0, 0
	for _, r := range all {
		for i, a := range r.Kept {
			mine, waited := r.Owner[i+1] == r.Blocked, a.Answered >= r.Released
			sum, owned = sum+1, owned+experiment.One(mine)
			wrong += experiment.One(mine != waited)
		}
	}
	return report.Check{
		Name: KeptWait, Measured: owned - wrong, Expected: owned, Pass: wrong == 0 && owned > 0,
		Detail: fmt.Sprintf("Of %d connections that were there before, beside the one that blocked it, %d were the blocked process's; %d did not wait for it as they should, or waited and were another's.", sum, owned, wrong),
	}
}

// nothingLost demands an answer to every request, sooner or later.
func nothingLost(all map[Design]*Result) report.Check {
	sent, got := 0, 0
	for _, r := range all {
		for _, a := range slices.Concat(r.Free, r.Busy, r.Kept) {
			sent++
			got += experiment.One(a.Got > 0)
		}
	}
	return report.Check{
		Name: NothingLost, Measured: got, Expected: sent, Pass: got == sent && sent > 0,
		Detail: fmt.Sprintf("%s of %s requests to all designs have an answer in the end.", report.Cell(got), report.Cell(sent)),
	}
}

// latencies are those of the answers that pick takes.
func latencies(answers []Answer, pick func(Answer) bool) []float64 {
	var all []float64
	for _, a := range answers {
		if pick(a) {
			all = append(all, float64(a.Got-a.Asked)/float64(time.Millisecond))
		}
	}
	return all
}
