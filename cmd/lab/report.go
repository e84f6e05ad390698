package lab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/lab"
	"lbctl/testbed/report"
)

func labReportCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "report DIR",
		Short: "Write report.html again from report.json, and the front page over many",
		Long: `Write report.html again from report.json, and print the summary. Where DIR holds a folder for each of several
experiments, as lbctl lab run all writes them, write the page of each, and index.html: the ten problems with the
textbook's answers and what was measured.`,
		Example: `  lbctl lab report lbctl-report
  lbctl lab run all --out /tmp/reports; lbctl lab report /tmp/reports`,
		Args: cli.Takes("DIR"),
	}
	f := cli.OutputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		err := reportOne(a, *f, args[0])
		if !errors.Is(err, fs.ErrNotExist) {
			return cli.Advise(err, "name a folder that lbctl demo or lbctl lab run wrote")
		}
		runs, others := loadRuns(args[0])
		if others != nil {
			return cli.Advise(others, "name a folder that lbctl demo or lbctl lab run wrote")
		}
		if len(runs) == 0 {
			return cli.Advise(err, "name a folder that lbctl demo or lbctl lab run wrote")
		}
		return reportMany(a, *f, args[0], runs)
	}
	return c
}

// reportOne renders the report in dir. Its error wraps fs.ErrNotExist if there is none.
func reportOne(a *cli.App, f cli.Format, dir string) error {
	result, _, err := report.Load(dir)
	if err != nil {
		return err
	}
	if err := report.Render(dir); err != nil {
		return err
	}
	return summarise(a, f, result, dir)
}

// loadRuns loads the reports in the folders of dir, by the names of their experiments. Folders without a report do not
// count; a report that cannot be read, and a second one of an experiment, is an error.
func loadRuns(dir string) (map[string]report.FrontRun, error) {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("load reports: %w", err)
	}
	runs := map[string]report.FrontRun{}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		result, _, err := report.Load(filepath.Join(dir, folder.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if one, ok := runs[result.Experiment]; ok {
			return nil, fmt.Errorf("load reports: %s and %s in %s are both of %s: want one of each experiment", one.Folder, folder.Name(), dir, result.Experiment)
		}
		runs[result.Experiment] = report.FrontRun{Experiment: result.Experiment, Question: result.Question, Result: &result, Folder: folder.Name()}
	}
	return runs, nil
}

// frontEntry is one experiment of a front page; scripts rely on its names.
type frontEntry struct {
	Experiment string         `json:"experiment"`
	Problem    string         `json:"problem"`
	Verdict    report.Verdict `json:"verdict"`
	Headline   string         `json:"headline"`
	Seconds    float64        `json:"seconds"`
	Folder     string         `json:"folder"`
}

type frontEntries struct {
	Runs []frontEntry `json:"runs"`
}

// reportMany renders all reports and the front page over them.
func reportMany(a *cli.App, f cli.Format, dir string, runs map[string]report.FrontRun) error {
	for _, run := range runs {
		if err := report.Render(filepath.Join(dir, run.Folder)); err != nil {
			return err
		}
	}
	if err := report.WriteFront(dir, front(runs)); err != nil {
		return err
	}
	list := frontEntries{[]frontEntry{}}
	for _, e := range lab.All() {
		if run, ok := runs[e.Name]; ok {
			r := *run.Result
			list.Runs = append(list.Runs, frontEntry{r.Experiment, r.Problem, r.Outcome(), run.Evidence(), r.Seconds, run.Folder})
		}
	}
	return a.Print(f, list, func(w io.Writer) {
		cli.Row(w, "problem", "name", "verdict", "time", "measured")
		for _, r := range list.Runs {
			cli.Row(w, r.Problem, r.Experiment, r.Verdict, seconds(r.Seconds), r.Headline)
		}
		fmt.Fprintf(w, "\nfront page  %s\n", filepath.Join(dir, report.FrontFile))
	})
}
