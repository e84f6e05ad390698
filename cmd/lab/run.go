package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
	"lbctl/testbed/experiment"
	"lbctl/testbed/lab"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

const defaultReportDir = "lbctl-report"

// labRun are the flags of a run of an experiment.
type labRun struct {
	out     string
	seed    uint64
	set     []string
	quick   bool
	full    bool
	verbose bool
	// predict is a file of predictions, "" for none; answers is what it says.
	predict string
	answers experiment.Answers
	format  *cli.Format
}

func (r *labRun) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.out, "out", defaultReportDir, "the folder for report.html, report.json and the figures")
	c.Flags().Uint64Var(&r.seed, "seed", 1, "the seed of all random choices")
	c.Flags().StringArrayVar(&r.set, "set", nil, "set a parameter, key=value; may be repeated")
	c.Flags().BoolVar(&r.quick, "quick", false, "run at the size for a test; --set changes single parameters of it")
	c.Flags().BoolVar(&r.full, "full", false, "run at full size; --set changes single parameters of it")
	c.Flags().BoolVarP(&r.verbose, "verbose", "v", false, "log what is done")
	r.format = cli.OutputFlag(c)
}

// find returns the experiment of a name.
func find(name string) (experiment.Experiment, error) {
	e, err := lab.Find(name)
	if err == nil {
		return e, nil
	}
	var names []string
	for _, known := range lab.All() {
		names = append(names, known.Name)
	}
	return e, cli.NotFound("experiment", name, names, "see lbctl lab list")
}

// runLab runs one experiment.
func runLab(a *cli.App, c *cobra.Command, r *labRun, name string) error {
	e, err := find(name)
	if err != nil {
		return err
	}
	if err := r.readAnswers(e); err != nil {
		return err
	}
	trial, err := r.trial(c, e)
	if err != nil {
		return adviseLab(err, name)
	}
	outcome, err := runTrial(a, c.Context(), r, trial, progress.Plan{Expected: r.expected(e.Needs)})
	if err != nil {
		return adviseLab(err, name)
	}
	if err := summarise(a, *r.format, outcome.Result, r.out); err != nil {
		return err
	}
	return judge(outcome.Result, r.read("report.html"))
}

// read says which file to read, and how to get one if none was asked for.
func (r *labRun) read(file string) string {
	if r.out == "" {
		return "see which above; --out writes a report"
	}
	return "read " + filepath.Join(r.out, file)
}

// trial returns a trial of an experiment with the parameters that were asked for.
func (r *labRun) trial(c *cobra.Command, e experiment.Experiment) (*experiment.Trial, error) {
	if r.quick && r.full {
		return nil, cli.Usage(c, "--quick and --full: want one of them")
	}
	t := e.Trial()
	t.Predict(r.answers)
	return t, r.setAll(t.Parameters())
}

// setAll sets the parameters that were asked for.
func (r *labRun) setAll(p *experiment.Parameters) error {
	if err := r.resize(p); err != nil {
		return err
	}
	for _, assignment := range r.set {
		if err := p.Set(assignment); err != nil {
			return err
		}
	}
	return p.Validate()
}

// judge returns an error unless all checks and controls of a result passed.
func judge(r report.Result, hint string) error {
	if r.Pass {
		return nil
	}
	what := ": a check failed"
	if r.Outcome() == report.Undetermined {
		what = ": a check is undetermined"
	}
	return &cli.Failure{Code: cli.ExitFailed, What: r.Experiment + what, Do: hint}
}

// runTrial runs a trial and writes its report to r.out, unless that is empty.
func runTrial(a *cli.App, ctx context.Context, r *labRun, trial *experiment.Trial, plan progress.Plan) (outcome experiment.Outcome, err error) {
	if err := prepare(r.out); err != nil {
		return outcome, err
	}
	env, err := r.environment(a, plan)
	if err != nil {
		return outcome, err
	}
	if outcome, err = trial.Run(ctx, env); err != nil {
		return outcome, err
	}
	return outcome, save(r.out, outcome)
}

// prepare finds out, before anything runs, whether a report can be written to dir, unless that is empty.
func prepare(dir string) error {
	if dir == "" {
		return nil
	}
	return cli.Advise(report.Prepare(dir), "name another folder with --out")
}

// save writes a report to dir, unless that is empty.
func save(dir string, outcome experiment.Outcome) error {
	if dir == "" {
		return nil
	}
	return cli.Advise(report.Write(dir, outcome.Result, outcome.Figures), "name another folder with --out")
}

// readAnswers reads the predictions, if there are any.
func (r *labRun) readAnswers(e experiment.Experiment) error {
	if r.predict == "" {
		return nil
	}
	hint := "lbctl lab describe " + e.Name + " --handout writes a file to fill in"
	f, err := os.Open(r.predict)
	if err != nil {
		return cli.Advise(fmt.Errorf("read predictions: %w", err), "%s", hint)
	}
	defer f.Close()
	r.answers, err = e.ReadAnswers(r.predict, f)
	return cli.Advise(err, "%s", hint)
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

// environment returns the environment of an experiment, of whose time a plan says what is known.
func (r *labRun) environment(a *cli.App, plan progress.Plan) (experiment.Env, error) {
	program, err := os.Executable()
	if err != nil {
		return experiment.Env{}, fmt.Errorf("find own program: %w", err)
	}
	level, shown := slog.LevelWarn, a.Progress()
	switch {
	case r.verbose: // a bar would break the lines of the log
		level, shown = slog.LevelDebug, a.ProgressLines()
	case report.Terminal(a.Stderr):
		shown = progress.WithETA(shown, plan, time.Now)
	}
	return experiment.Env{
		Program: program, Seed: r.seed, Now: time.Now,
		Progress: shown,
		Log:      slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: level})),
	}, nil
}

// expected is about how long an experiment takes at the size that was asked for, 0 if that is not known.
func (r *labRun) expected(n experiment.Needs) time.Duration {
	switch {
	case r.quick:
		return n.Quick
	case r.full:
		return 0
	}
	return n.Time
}

// summarise prints a summary of a result, or all of it as JSON.
func summarise(a *cli.App, f cli.Format, r report.Result, dir string) error {
	if f == cli.FormatJSON {
		return a.Print(f, r, nil)
	}
	return report.Summary(a.Stdout, r, dir, report.Colour(a.Stdout, a.Getenv))
}

// adviseLab says what to do about an experiment of a name that did not run.
func adviseLab(err error, name string) error {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return err
	}
	if errors.Is(err, experiment.ErrParameter) {
		return &cli.Failure{Code: cli.ExitUsage, What: err.Error(), Do: "see lbctl lab describe " + name, Cause: err}
	}
	if errors.Is(err, context.Canceled) {
		// Without the cause, which would change the hint.
		return &cli.Failure{Code: cli.ExitInterrupted, What: "interrupted", Do: "everything that was set up is removed again"}
	}
	if errors.Is(err, lb.ErrDenied) {
		return cli.Advise(err, "run it as root, for instance with sudo")
	}
	return cli.Advise(err, "see what the message quotes; lbctl lab run with --verbose says more")
}
