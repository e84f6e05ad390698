// Package lab is the catalogue of experiments: claims of a textbook, measured on a
// real kernel. Each is a package of its own below this one.
package lab

import (
	"fmt"
	"slices"
	"strings"

	"lbctl/lb"
	"lbctl/testbed/experiment"
	"lbctl/testbed/experiments/nicoracle"
	"lbctl/testbed/experiments/spread"
	"lbctl/testbed/experiments/survive"
)

// Demo is the name of the experiment that `lbctl demo` runs.
const Demo = "spread"

// All returns the experiments in the order of the catalogue.
func All() []experiment.Experiment {
	return []experiment.Experiment{
		spread.Experiment(),
		nicoracle.Experiment(),
		survive.Experiment(),
	}
}

// Find returns the experiment of a name. Its error wraps lb.ErrNotFound and names
// those that there are.
func Find(name string) (experiment.Experiment, error) {
	all := All()
	i := slices.IndexFunc(all, func(e experiment.Experiment) bool { return e.Name == name })
	if i < 0 {
		return experiment.Experiment{}, fmt.Errorf("experiment %q: %w: there are %s", name, lb.ErrNotFound, strings.Join(names(all), ", "))
	}
	return all[i], nil
}

func names(all []experiment.Experiment) []string {
	list := make([]string, len(all))
	for i, e := range all {
		list[i] = e.Name
	}
	return list
}
