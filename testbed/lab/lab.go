// Package lab is the catalogue of experiments: claims of a textbook, measured on a
// real kernel. Each is a package of its own below this one.
package lab

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lbctl/lb"
	"lbctl/testbed/experiment"
	"lbctl/testbed/experiments/acceptqueues"
	"lbctl/testbed/experiments/change"
	"lbctl/testbed/experiments/copies"
	"lbctl/testbed/experiments/fileserver"
	"lbctl/testbed/experiments/handshake"
	"lbctl/testbed/experiments/interrupts"
	"lbctl/testbed/experiments/kvstore"
	"lbctl/testbed/experiments/nicoracle"
	"lbctl/testbed/experiments/oneport"
	"lbctl/testbed/experiments/rings"
	"lbctl/testbed/experiments/spread"
	"lbctl/testbed/experiments/survive"
	"lbctl/testbed/experiments/tophalf"
	"lbctl/testbed/experiments/wakeup"
	"lbctl/testbed/helper"
	"lbctl/testbed/kv"
	"lbctl/testbed/load"
	"lbctl/testbed/replica"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic"
	"lbctl/testbed/traffic/hold"
	"lbctl/testbed/vm/guest"
)

// Demo is the name of the experiment that `lbctl demo` runs.
const Demo = "spread"

// All returns the experiments in the order of the problems.
func All() []experiment.Experiment {
	all := []experiment.Experiment{
		spread.Experiment(),
		change.Experiment(),
		kvstore.Experiment(),
		nicoracle.Experiment(),
		survive.Experiment(),
		oneport.Experiment(),
		wakeup.Experiment(),
		fileserver.Experiment(),
		handshake.Experiment(),
		acceptqueues.Experiment(),
		interrupts.Experiment(),
		tophalf.Experiment(),
		copies.Experiment(),
		rings.Experiment(),
	}
	slices.SortStableFunc(all, func(a, b experiment.Experiment) int {
		return slices.CompareFunc(references(a), references(b), func(a, b reference) int {
			return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.letter, b.letter))
		})
	})
	return all
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

// Helpers is the registry of helper processes: what `lbctl testbed NAME CONFIG` can be.
func Helpers() []helper.Entry {
	return []helper.Entry{
		replica.Helper().Entry(), traffic.Helper().Entry(),
		echo.Helper().Entry(), hold.Helper().Entry(),
		load.Server().Entry(), load.Client().Entry(),
		kv.Server().Entry(), kv.Client().Entry(),
		guest.Helper().Entry(),
		handshake.Helper().Entry(),
		copies.Guest().Entry(), rings.Receiver().Entry(), acceptqueues.Server().Entry(), acceptqueues.Client().Entry(),
		wakeup.Helper().Entry(),
		oneport.Master().Entry(), oneport.Worker().Entry(),
		tophalf.Helper().Entry(), interrupts.Helper().Entry(),
		fileserver.Helper().Entry(),
	}
}
