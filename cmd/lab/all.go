package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
	"lbctl/testbed/experiment"
	"lbctl/testbed/lab"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

// suite is a run of all experiments.
type suite struct {
	*labRun
	app    *cli.App
	all    []experiment.Experiment
	trials []*experiment.Trial
	// runs are those that ended, by name; failed are the names of those that did not pass, or could not run.
	runs   map[string]report.FrontRun
	failed []string
}

// runAll runs all experiments, one after the other, and writes a front page over their reports. Parameters are checked
// before anything runs. An experiment that cannot run does not keep the others from running.
func runAll(a *cli.App, c *cobra.Command, r *labRun) error {
	switch {
	case r.predict != "":
		return cli.Usage(c, "--predict: want the name of one experiment, not all")
	case r.quick && r.full:
		return cli.Usage(c, "--quick and --full: want one of them")
	}
	s := &suite{labRun: r, app: a, all: lab.All(), runs: map[string]report.FrontRun{}}
	for _, e := range s.all {
		t, err := r.trial(c, e)
		if err != nil {
			return adviseLab(fmt.Errorf("%s: %w", e.Name, err), e.Name)
		}
		s.trials = append(s.trials, t)
	}
	for i := range s.all {
		if err := s.run(c.Context(), i); err != nil {
			return err
		}
		if err := s.front(); err != nil {
			return err
		}
	}
	if len(s.failed) == 0 {
		return nil
	}
	return &cli.Failure{
		Code: cli.ExitFailed, What: fmt.Sprintf("%d of %d experiments did not pass: %s", len(s.failed), len(s.all), strings.Join(s.failed, ", ")),
		Do: r.read(report.FrontFile),
	}
}

// run runs one of the experiments. An error means that the others need not be tried.
func (s *suite) run(ctx context.Context, i int) error {
	e, one := s.all[i], *s.labRun
	run := report.FrontRun{Experiment: e.Name, Question: e.Question, Folder: e.Name}
	if one.out != "" {
		one.out = filepath.Join(one.out, e.Name)
	}
	outcome, err := runTrial(s.app, ctx, &one, s.trials[i], s.plan(i))
	switch {
	case err != nil && fatal(ctx, err):
		return adviseLab(err, e.Name)
	case err != nil:
		run.Why = cli.OneLine(err.Error())
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) && hinted.Hint() != "" {
			run.Why += ": " + cli.OneLine(hinted.Hint())
		}
		fmt.Fprintf(s.app.Stderr, "lbctl: %s could not run: %s\n", e.Name, run.Why)
	default:
		run.Result = &outcome.Result
		if err := summarise(s.app, *s.format, outcome.Result, one.out); err != nil {
			return err
		}
	}
	if run.Result == nil || !run.Result.Pass {
		s.failed = append(s.failed, e.Name)
	}
	s.runs[e.Name] = run
	return nil
}

// fatal tells whether an error will be that of every other experiment too.
func fatal(ctx context.Context, err error) bool {
	var disk *report.WriteError
	return ctx.Err() != nil || errors.Is(err, lb.ErrDenied) || errors.As(err, &disk)
}

// plan is what is known of the time of one experiment, and of those after it.
func (s *suite) plan(i int) progress.Plan {
	p := progress.Plan{Name: fmt.Sprintf("%d/%d %s: ", i+1, len(s.all), s.all[i].Name), Expected: s.expected(s.all[i].Needs)}
	for _, later := range s.all[i+1:] {
		p.After += s.expected(later.Needs)
	}
	if s.full {
		p.After = time.Duration(0)
	}
	return p
}

// front writes the front page over what has run so far.
func (s *suite) front() error {
	if s.out == "" {
		return nil
	}
	return cli.Advise(report.WriteFront(s.out, front(s.runs)), "name another folder with --out")
}

// front is the front page over runs, by the names of their experiments.
func front(runs map[string]report.FrontRun) report.Front {
	f := report.Front{Title: "Ten problems of networking, measured"}
	for _, p := range lab.Problems() {
		page := report.FrontProblem{Number: p.Number, Title: p.Title}
		for _, part := range p.Parts {
			page.Parts = append(page.Parts, report.FrontPart(part))
		}
		for _, e := range lab.Of(p) {
			run, ok := runs[e.Name]
			if !ok {
				run = report.FrontRun{Experiment: e.Name, Question: e.Question}
			}
			page.Runs = append(page.Runs, run)
		}
		f.Problems = append(f.Problems, page)
	}
	return f
}
