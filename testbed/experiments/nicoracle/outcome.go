package nicoracle

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"lbctl/rss/nic"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// outcome makes the report.
func (r *run) outcome() (experiment.Outcome, error) {
	checks := Checks(r.evidence)
	controls, err := r.controls()
	if err != nil {
		return experiment.Outcome{}, err
	}
	result := report.Result{
		Experiment: name, Problem: problem, Seed: r.env.Seed,
		Pass:        report.Passed(checks, controls),
		Environment: report.Gather(r.env.Now()),
		Parameters:  r.flags.Values(),
		Checks:      checks, Controls: controls,
		Tables: []report.Table{r.claims(checks), kindTable(r.evidence), armTable(r.evidence), r.machineTable()},
	}
	if t := disagreements(r.evidence); len(t.Rows) > 0 {
		result.Tables = append(result.Tables, t)
	}
	result.Environment.Rig, result.Environment.XDP = rigName, "not used"
	figures, err := figures(r.evidence)
	return experiment.Outcome{Result: result, Figures: figures}, err
}

// controls are the arms that must flip a check.
func (r *run) controls() ([]report.Check, error) {
	random := rand.New(rand.NewPCG(r.env.Seed, 2))
	key, err := anotherKey(r.evidence, func(c nic.Config) (*nic.NIC, error) {
		c.Key = slices.Clone(c.Key)
		for i := range c.Key {
			c.Key[i] ^= byte(1 + random.IntN(255))
		}
		return nic.New(c)
	})
	if err != nil {
		return nil, err
	}
	return []report.Check{
		key, tableRewritten(find(r.evidence, beforeRewrite), find(r.evidence, afterRewrite)),
		fragmentsByPorts(r.evidence), hashIsOff(r.off),
	}, nil
}

// claims answers the question of the experiment from its checks.
func (r *run) claims(checks []report.Check) report.Table {
	answer := "Not shown by this run: see the checks that failed."
	if report.Passed(checks) {
		answer = fmt.Sprintf("Yes, of each of %s packets.", commas(total(r.evidence, anyKind).sent))
	}
	return report.Table{Name: "claims", Columns: []string{"question", "answer"}, Rows: [][]any{
		{"Are the queue and the hash of a packet those that the model computes from key, table and hash fields?", answer},
	}}
}
