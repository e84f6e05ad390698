package report

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Difference is what two reports of one experiment do not have in common.
type Difference struct {
	Experiment string `json:"experiment"`
	// Parameters, Environment and Verdicts are those that differ, by name: the seed among the parameters, checks and
	// controls among the verdicts. What one report lacks is "".
	Parameters  []Change `json:"parameter_changes"`
	Environment []Change `json:"environment_changes"`
	Verdicts    []Change `json:"verdict_changes"`
	// Figures are the quantities, and what the checks and controls measured: all that are in both.
	Figures []FigureChange `json:"quantities"`
}

// Change is one value in both reports.
type Change struct {
	Name string `json:"name"`
	A    string `json:"before"`
	B    string `json:"after"`
}

// Noise tells whether two measurements differ by more than noise.
type Noise string

// Real is a difference larger than noise: the intervals have nothing in common, or an answer of yes or no is another one.
// Within is a difference that the intervals explain. Unknown is a difference of figures without an interval: counts of
// what the seed does not decide differ by chance. Equal is none.
const (
	Real    Noise = "larger-than-noise"
	Within  Noise = "within-noise"
	Unknown Noise = "no-interval"
	Equal   Noise = "equal"
)

// FigureChange is one figure in both reports.
type FigureChange struct {
	Name string `json:"name"`
	A    string `json:"before"`
	B    string `json:"after"`
	// Ratio is B / A, nil if there is none.
	Ratio *float64 `json:"ratio,omitempty"`
	Noise Noise    `json:"difference"`
}

// Differs tells whether anything differs by more than noise, or in a verdict.
func (d Difference) Differs() bool {
	return len(d.Verdicts) > 0 || slices.ContainsFunc(d.Figures, func(f FigureChange) bool { return f.Noise == Real })
}

// Compare compares two reports of one experiment.
func Compare(a, b Result) Difference {
	return Difference{
		Experiment:  a.Experiment,
		Parameters:  changes(a.parameters(), b.parameters()),
		Environment: changes(a.Environment.fields(), b.Environment.fields()),
		Verdicts:    changes(a.verdicts(), b.verdicts()),
		Figures:     compareFigures(a.figures(), b.figures()),
	}
}

// changes returns the names of which the values differ, sorted.
func changes(a, b map[string]string) []Change {
	all := maps.Clone(a)
	maps.Copy(all, b)
	list := []Change{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a[name] != b[name] {
			list = append(list, Change{name, a[name], b[name]})
		}
	}
	return list
}

// parameters returns the parameters and the seed as texts.
func (r Result) parameters() map[string]string {
	all := map[string]string{"seed": strconv.FormatUint(r.Seed, 10)}
	for name, v := range r.Parameters {
		all[name] = Cell(v)
	}
	return all
}

// fields returns where it ran as texts, without the time.
func (e Environment) fields() map[string]string {
	return map[string]string{
		"host": e.Host, "kernel": e.Kernel, "cpu": e.CPU, "cpus": strconv.Itoa(e.CPUs), "go": e.Go,
		"version": e.Version, "commit": e.Commit, "rig": e.Rig, "xdp": e.XDP, "noise": e.Noise,
	}
}

// verdicts returns those of checks and controls by name.
func (r Result) verdicts() map[string]string {
	all := map[string]string{}
	for _, c := range r.Checks {
		all[c.Name] = string(c.Outcome())
	}
	for _, c := range r.Controls {
		all["control "+c.Name] = string(c.Outcome())
	}
	return all
}

// figures returns all that was measured as quantities.
func (r Result) figures() (list []Quantity) {
	list = slices.Clone(r.Quantities)
	for prefix, checks := range map[string][]Check{"": r.Checks, "control ": r.Controls} {
		for _, c := range checks {
			q := Quantity{Name: prefix + c.Name, Value: c.Measured}
			if c.Estimate != nil {
				q.Low, q.High, q.Samples = c.Estimate.Low, c.Estimate.High, c.Estimate.Samples
			}
			list = append(list, q)
		}
	}
	slices.SortStableFunc(list[len(r.Quantities):], func(a, b Quantity) int { return r.position(a.Name) - r.position(b.Name) })
	return list
}

// position is where a check or control stands in the report.
func (r Result) position(name string) int {
	for i, c := range slices.Concat(r.Checks, r.Controls) {
		if c.Name == name || "control "+c.Name == name && i >= len(r.Checks) {
			return i
		}
	}
	return len(r.Checks) + len(r.Controls)
}

// compareFigures compares the figures that are in both, in the order of the first.
func compareFigures(a, b []Quantity) []FigureChange {
	list := []FigureChange{}
	for _, x := range a {
		i := slices.IndexFunc(b, func(y Quantity) bool { return y.Name == x.Name })
		if i < 0 {
			continue
		}
		change := FigureChange{Name: x.Name, A: x.Text(), B: b[i].Text(), Noise: x.compare(b[i])}
		va, okA := Float(x.Value)
		vb, okB := Float(b[i].Value)
		if okA && okB && va != 0 {
			ratio := vb / va
			change.Ratio = &ratio
		}
		list = append(list, change)
	}
	return list
}

// compare tells whether two measurements of a quantity differ by more than noise.
func (q Quantity) compare(o Quantity) Noise {
	switch _, yes := q.Value.(bool); {
	case ValueText(q.Value, "") == ValueText(o.Value, ""):
		return Equal
	case yes:
		return Real
	case q.Low == nil && q.High == nil || o.Low == nil && o.High == nil:
		return Unknown
	case above(q.Low, o.High) || above(o.Low, q.High):
		return Real
	}
	return Within
}

// above tells whether the low end of an interval is above the high end of another. An end that is not there is infinite.
func above(low, high *float64) bool { return low != nil && high != nil && *low > *high }

// Float returns a number of any type as float64, false of anything else.
func Float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	}
	return 0, false
}
