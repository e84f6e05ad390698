// Package lab has the commands that measure: demo, lab and bench, and the processes that experiments start in their
// network namespaces.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
	"lbctl/testbed/experiment"
	"lbctl/testbed/lab"
	"lbctl/testbed/report"
)

const defaultReportDir = "lbctl-report"

// labRun is what a run of an experiment is told.
type labRun struct {
	out     string
	seed    uint64
	set     []string
	quick   bool
	full    bool
	verbose bool
	format  *cli.Format
}

func (r *labRun) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.out, "out", defaultReportDir, "the folder for report.html, report.json and the figures")
	c.Flags().Uint64Var(&r.seed, "seed", 1, "what decides everything that is chosen at random")
	c.Flags().StringArrayVar(&r.set, "set", nil, "set a parameter, key=value; may be repeated")
	c.Flags().BoolVar(&r.quick, "quick", false, "run at the size for a test; --set changes single parameters of it")
	c.Flags().BoolVar(&r.full, "full", false, "run at full size; --set changes single parameters of it")
	c.MarkFlagsMutuallyExclusive("quick", "full")
	c.Flags().BoolVarP(&r.verbose, "verbose", "v", false, "log what is done")
	r.format = cli.OutputFlag(c)
}

func demoCommand(a *cli.App) *cobra.Command {
	r := &labRun{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch real traffic being balanced, and read a report of it",
		Long: `Send real HTTP traffic through a simulated NIC and the load balancer to replicas, all in
network namespaces of its own, and check on every packet which queue, core and replica it came
to. The same as lbctl lab run ` + lab.Demo + `. It needs root, and some 20 seconds.`,
		Example: `  lbctl demo --out /tmp/demo
  lbctl demo --set replicas=8 --set scheduler=maglev`,
		Args: cli.Takes(),
	}
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return runLab(a, c.Context(), r, lab.Demo) }
	return c
}

func labCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:     "lab",
		Short:   "Measure what textbooks claim, on this kernel",
		Example: `  lbctl lab run spread --out /tmp/spread`,
	}, labListCommand(a), labRunCommand(a), labReportCommand(a))
}

// labEntry is an experiment of the catalogue; scripts rely on its names.
type labEntry struct {
	Name       string                 `json:"name"`
	Problem    string                 `json:"problem"`
	Summary    string                 `json:"description"`
	Parameters []experiment.Parameter `json:"parameter_list"`
}

type labEntries struct {
	Experiments []labEntry `json:"experiments"`
}

func labListCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the experiments and their parameters", Args: cli.Takes(),
		Example: `  lbctl lab list -o json`,
	}
	f := cli.OutputFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		list := labEntries{[]labEntry{}}
		for _, e := range lab.All() {
			list.Experiments = append(list.Experiments, labEntry{e.Name, e.Problem, e.Question, e.Trial().Parameters().List()})
		}
		return a.Print(*f, list, func(w io.Writer) {
			for _, e := range list.Experiments {
				fmt.Fprintf(w, "%s (problem %s): %s\n", e.Name, e.Problem, e.Summary)
				for _, p := range e.Parameters {
					cli.Row(w, "  "+p.Name, p.Default, p.Help)
				}
			}
		})
	}
	return c
}

func labRunCommand(a *cli.App) *cobra.Command {
	r := &labRun{}
	c := &cobra.Command{
		Use:   "run NAME|all",
		Short: "Run an experiment and write its report",
		Long: `Run an experiment in network namespaces of its own, and write report.html and report.json.
It needs root. The exit code is 1 when a check failed. With all, each report is in a folder
of its own below --out.

By their defaults all take less than three minutes. survive at full size takes some 15 minutes on
two cores.`,
		Example: `  lbctl lab run spread
  lbctl lab run spread --set connections=1000 --set requests=4000 --seed 7 -o json
  lbctl lab run all --out /tmp/reports
  lbctl lab run all --quick --out /tmp/reports
  lbctl lab run survive --full`,
		Args: cli.Takes("NAME"),
	}
	r.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error { return runLab(a, c.Context(), r, args[0]) }
	return c
}

func labReportCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "report DIR",
		Short:   "Make report.html anew from report.json, and print the summary",
		Example: `  lbctl lab report lbctl-report`,
		Args:    cli.Takes("DIR"),
	}
	f := cli.OutputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		result, _, err := report.Load(args[0])
		if err != nil {
			return cli.Advise(err, "name a folder that lbctl demo or lbctl lab run wrote")
		}
		if err := report.Render(args[0]); err != nil {
			return err
		}
		return summarise(a, *f, result, args[0])
	}
	return c
}

// runLab runs one experiment, or all.
func runLab(a *cli.App, ctx context.Context, r *labRun, name string) error {
	chosen := lab.All()
	if name != "all" {
		e, err := lab.Find(name)
		if err != nil {
			return cli.Advise(err, "see lbctl lab list")
		}
		chosen = []experiment.Experiment{e}
	}
	var failed error
	for _, e := range chosen {
		dir := r.out
		if name == "all" {
			dir = filepath.Join(r.out, e.Name)
		}
		pass, err := runExperiment(a, ctx, r, e, dir)
		if err != nil {
			return err
		}
		if !pass {
			failed = &cli.Failure{Code: cli.ExitFailed, What: e.Name + ": a check failed", Do: "read " + filepath.Join(dir, "report.html")}
		}
	}
	return failed
}

// runExperiment runs one experiment and writes its report.
func runExperiment(a *cli.App, ctx context.Context, r *labRun, e experiment.Experiment, dir string) (pass bool, err error) {
	trial := e.Trial()
	if err := r.resize(trial.Parameters()); err != nil {
		return false, adviseLab(err)
	}
	for _, assignment := range r.set {
		if err := trial.Parameters().Set(assignment); err != nil {
			return false, adviseLab(err)
		}
	}
	env, err := labEnvironment(a, r)
	if err != nil {
		return false, err
	}
	outcome, err := trial.Run(ctx, env)
	if err != nil {
		return false, adviseLab(err)
	}
	if err := report.Write(dir, outcome.Result, outcome.Figures); err != nil {
		return false, cli.Advise(err, "name another folder with --out")
	}
	return outcome.Result.Pass, summarise(a, *r.format, outcome.Result, dir)
}

// resize sets the parameters of the size that was asked for.
func (r *labRun) resize(p *experiment.Parameters) error {
	switch {
	case r.quick:
		return p.Resize(experiment.Quick)
	case r.full:
		return p.Resize(experiment.Full)
	}
	return nil
}

// labEnvironment is what an experiment is given.
func labEnvironment(a *cli.App, r *labRun) (experiment.Env, error) {
	program, err := os.Executable()
	if err != nil {
		return experiment.Env{}, fmt.Errorf("find own program: %w", err)
	}
	level, progress := slog.LevelWarn, a.Progress()
	if r.verbose { // a bar would be in the way of the log
		level, progress = slog.LevelDebug, a.ProgressLines()
	}
	return experiment.Env{
		Program: program, Seed: r.seed, Now: time.Now,
		Progress: progress,
		Log:      slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: level})),
	}, nil
}

// summarise prints a result: for a reader in short, for a script all of it.
func summarise(a *cli.App, f cli.Format, r report.Result, dir string) error {
	if f == cli.FormatJSON {
		return a.Print(f, r, nil)
	}
	return report.Summary(a.Stdout, r, dir, report.Colour(a.Stdout, a.Getenv))
}

// adviseLab says what to do about an experiment that did not run.
func adviseLab(err error) error {
	if errors.Is(err, experiment.ErrParameter) {
		return &cli.Failure{Code: cli.ExitUsage, What: err.Error(), Do: "see lbctl lab list", Cause: err}
	}
	if errors.Is(err, context.Canceled) {
		// Without its cause, for which the hint would be another.
		return &cli.Failure{Code: cli.ExitInterrupted, What: "interrupted", Do: "everything that was set up is removed again"}
	}
	if errors.Is(err, lb.ErrDenied) {
		return cli.Advise(err, "run it as root, for instance with sudo")
	}
	return cli.Advise(err, "see what the message quotes; lbctl lab run with --verbose says more")
}
