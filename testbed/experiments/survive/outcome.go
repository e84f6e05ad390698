package survive

import (
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// outcome makes the report of what was played.
func (r *run) outcome() experiment.Outcome {
	checks, controls := r.findings.checks(), r.findings.controls()
	result := report.Result{
		Experiment: name, Problem: problem, Seed: r.env.Seed,
		Pass:        report.Passed(checks, controls),
		Environment: report.Gather(r.env.Now()),
		Parameters:  r.flags.Values(),
		Checks:      checks, Controls: controls,
		Tables: r.rows.tables(r.kinds()),
	}
	result.Environment.Rig, result.Environment.XDP = rigName, r.xdp
	return experiment.Outcome{Result: result}
}
