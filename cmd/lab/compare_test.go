package lab

import (
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/testbed/report"
)

// TestLabCompare: one report against another, by folder or file, and folders of many.
func TestLabCompare(t *testing.T) {
	w := newWorld(t)
	put := func(folder, name string, seed uint64, moved, low, high float64) {
		r := report.Result{Experiment: name, Seed: seed, Quantities: []report.Quantity{{Name: "moved", Value: moved, Unit: "%", Low: &low, High: &high}, {Name: "same", Value: true}}}
		if err := report.Write(w.Path(folder), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	put("a/spread", "spread", 1, 50, 45, 55)
	put("a/survive", "survive", 1, 50, 45, 55)
	put("b/spread", "spread", 2, 75, 70, 80)
	put("b/kvstore", "kvstore", 2, 75, 70, 80)
	for _, args := range [][2]string{{"a/spread", "b/spread/report.json"}, {"a", "b"}, {"a", "b/spread"}} {
		out := strings.Join(strings.Fields(w.OK("lab", "compare", w.Path(args[0]), w.Path(args[1]))), " ")
		for _, want := range []string{"parameter seed 1 2", "figure moved 50 % (45 to 55) 75 % (70 to 80) x 1.5 larger than noise", "1 of 2 figures are equal"} {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %q is missing in %s", args, want, out)
			}
		}
		if args[1] == "b" && (!strings.Contains(out, "only in A: survive") || !strings.Contains(out, "only in B: kvstore")) {
			t.Errorf("what one side alone has is not said: %s", out)
		}
	}
	const hint = "name a folder that lbctl lab run wrote, or its report.json"
	w.Refused("lab compare DIR/a DIR/none", cli.ExitNotFound, "load reports: open DIR/none: no such file or directory", hint)
	w.Refused("lab compare DIR/a/survive DIR/b", cli.ExitFailed, "compare: no experiment is on both sides: survive; kvstore, spread", "name two runs of one experiment")
}
