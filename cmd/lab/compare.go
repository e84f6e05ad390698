package lab

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/report"
)

// comparison is what two runs do not have in common; scripts rely on its names.
type comparison struct {
	Compared []report.Difference `json:"experiments"`
	// OnlyBefore and OnlyAfter are experiments that one side alone has.
	OnlyBefore []string `json:"only_before"`
	OnlyAfter  []string `json:"only_after"`
}

func labCompareCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Say in what two runs differ, and which differences are larger than noise",
		Long: `Compare two reports of one experiment, or two folders of many, as lbctl lab run writes them: parameters,
environment, verdicts and figures. A difference of a figure is larger than noise if the intervals of both have
nothing in common; figures without an interval are counts: what the seed does not decide differs by chance.`,
		Example: `  lbctl lab compare /tmp/before /tmp/after
  lbctl lab compare before/spread/report.json after/spread/report.json -o json`,
		Args: cli.Takes("A", "B"),
	}
	f := cli.OutputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		before, err := loadSide(args[0])
		if err != nil {
			return cli.Advise(err, "name a folder that lbctl lab run wrote, or its report.json")
		}
		after, err := loadSide(args[1])
		if err != nil {
			return cli.Advise(err, "name a folder that lbctl lab run wrote, or its report.json")
		}
		both := compare(before, after)
		if len(both.Compared) == 0 {
			return &cli.Failure{
				Code: cli.ExitFailed, What: fmt.Sprintf("compare: no experiment is on both sides: %s; %s", strings.Join(both.OnlyBefore, ", "), strings.Join(both.OnlyAfter, ", ")),
				Do: "name two runs of one experiment",
			}
		}
		return a.Print(*f, both, both.write)
	}
	return c
}

// loadSide loads one report, or those in the folders of dir, by the names of their experiments.
func loadSide(path string) (map[string]report.Result, error) {
	if filepath.Base(path) == report.File {
		path = filepath.Dir(path)
	}
	one, _, err := report.Load(path)
	if err == nil {
		return map[string]report.Result{one.Experiment: one}, nil
	}
	runs, others := loadRuns(path)
	if others != nil {
		return nil, others
	}
	if len(runs) == 0 {
		return nil, err
	}
	all := map[string]report.Result{}
	for name, run := range runs {
		all[name] = *run.Result
	}
	return all, nil
}

// compare compares what is on both sides, sorted by name.
func compare(before, after map[string]report.Result) comparison {
	c := comparison{[]report.Difference{}, []string{}, []string{}}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if b, ok := after[name]; ok {
			c.Compared = append(c.Compared, report.Compare(before[name], b))
		} else {
			c.OnlyBefore = append(c.OnlyBefore, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[name]; !ok {
			c.OnlyAfter = append(c.OnlyAfter, name)
		}
	}
	return c
}

// write writes what differs for a reader.
func (c comparison) write(w io.Writer) {
	for _, d := range c.Compared {
		writeDifference(w, d)
	}
	for i, names := range [][]string{c.OnlyBefore, c.OnlyAfter} {
		if len(names) > 0 {
			fmt.Fprintf(w, "only in %c: %s\n", 'A'+i, strings.Join(names, ", "))
		}
	}
}

func writeDifference(w io.Writer, d report.Difference) {
	fmt.Fprintln(w, d.Experiment)
	lines := [][]any{}
	for kind, list := range map[string][]report.Change{"parameter": d.Parameters, "environment": d.Environment, "verdict": d.Verdicts} {
		for _, one := range list {
			lines = append(lines, []any{"  " + kind, one.Name, one.A, one.B, "", ""})
		}
	}
	order := func(line []any) string { return fmt.Sprint(line[0], line[1]) }
	slices.SortFunc(lines, func(a, b []any) int { return strings.Compare(order(a), order(b)) })
	equal := 0
	for _, f := range d.Figures {
		if f.Noise == report.Equal {
			equal++
			continue
		}
		ratio := ""
		if f.Ratio != nil {
			ratio = "x " + report.Cell(*f.Ratio)
		}
		lines = append(lines, []any{"  figure", f.Name, f.A, f.B, ratio, strings.ReplaceAll(string(f.Noise), "-", " ")})
	}
	if len(lines) > 0 {
		cli.Row(w, "  what", "name", "A", "B", "B / A", "difference")
	}
	for _, line := range lines {
		cli.Row(w, line...)
	}
	fmt.Fprintf(w, "  %d of %d figures are equal.\n\n", equal, len(d.Figures))
}
