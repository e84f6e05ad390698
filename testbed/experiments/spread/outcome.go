package spread

import (
	"fmt"

	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// outcome makes the report of what was played.
func (r *run) outcome() (experiment.Outcome, error) {
	checks := Checks(r.main, r.model)
	result := report.Result{
		Experiment: name, Problem: problem, Seed: r.env.Seed,
		Pass:        report.Passed(checks, r.controls),
		Environment: report.Gather(r.env.Now()),
		Parameters:  r.flags.Values(),
		Checks:      checks, Controls: r.controls,
		Tables: append(Tables(r.main, checks, r.model), r.armTable()),
	}
	if t, ok := r.hopTable(); ok {
		result.Tables = append(result.Tables, t)
	}
	result.Environment.Rig, result.Environment.XDP = rigName, r.xdp
	figures, err := Figures(r.main, r.single, r.model)
	return experiment.Outcome{Result: result, Figures: figures}, err
}

// armTable is a line for each arm with traffic.
func (r *run) armTable() report.Table {
	return report.Table{
		Name:    "arms",
		Columns: []string{"arm", "connections", "requests", "packets", "dropped by NIC", "by links", "seconds", "requests/s"},
		Rows:    r.arms,
	}
}

// hopTable compares, for the connection that is followed, the models with what the
// running daemon explains and with what was seen.
func (r *run) hopTable() (report.Table, bool) {
	c := newTally(r.main).followed()
	if c == nil || r.followed == nil {
		return report.Table{}, false
	}
	in := r.model.NIC.ClassifyFlow(c.flow)
	hash, slot := r.model.slot(c.flow)
	explained := "none"
	if r.followed.Slot != nil {
		explained = fmt.Sprint(*r.followed.Slot)
	}
	to := r.model.replica(c.flow)
	return report.Table{
		Name:    "one connection: " + c.flow.String(),
		Columns: []string{"hop", "model", "lbctl explain", "seen"},
		Rows: [][]any{
			{"hash of the NIC", fmt.Sprintf("0x%08x", in.Hash), "", ""},
			{"index", fmt.Sprint(in.Index), "", ""},
			{"queue", fmt.Sprint(in.Queue), "", fmt.Sprint(c.seenQueues())},
			{"core", fmt.Sprint(r.stage.NIC().Core(in.Queue)), "", fmt.Sprint(c.seen.CPUs)},
			{"hash of the load balancer", fmt.Sprintf("0x%08x", hash), r.followed.Hash, ""},
			{"slot", fmt.Sprint(slot), explained, ""},
			{"replica", fmt.Sprintf("%d, %v", to, r.main.Replicas[to]), r.followed.Replica, fmt.Sprint(c.replicas())},
		},
	}, true
}
