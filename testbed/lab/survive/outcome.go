package survive

import (
	"slices"

	"lbctl/testbed/lab/experiment"
	"lbctl/testbed/report"
)

// outcome makes the report of what was played.
func (r *run) outcome() experiment.Outcome {
	checks, controls := r.findings.checks(), r.findings.controls()
	failed := func(c report.Check) bool { return !c.Pass }
	result := report.Result{
		Experiment: name, Problem: problem, Seed: r.env.Seed,
		Pass:        !slices.ContainsFunc(checks, failed) && !slices.ContainsFunc(controls, failed),
		Environment: report.Gather(r.env.Now()),
		Parameters:  r.flags.Values(),
		Checks:      checks, Controls: controls,
		Tables: r.rows.tables(r.kinds()),
	}
	result.Environment.Rig, result.Environment.XDP = rigName, r.xdp
	return experiment.Outcome{Result: result}
}
