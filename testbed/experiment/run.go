package experiment

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lbctl/testbed/bed"
	"lbctl/testbed/packages"
	"lbctl/testbed/report"
)

// Run is one run of a design: the bed that it stands on, and where it enters what it found.
type Run struct {
	Env
	// Bed is removed after the run, however it ends.
	Bed *bed.Bed
	// XDP is how programs are attached, for the report: "native". Noise is what the machine did beside the
	// experiment, where that matters: see measure.Describe.
	XDP, Noise string

	outcome Outcome
	began   time.Time
	// before is what was done when the arm began, done what has been done of it.
	before, done int
}

// Run runs the experiment. An error means that nothing could be measured; a check that failed is no
// error, it is in the result. When ctx ends, Run removes everything that it made and returns an error that wraps
// ctx.Err(). Errors wrap ErrParameter if a parameter is wrong, lb.ErrDenied without root.
func (t *Trial) Run(ctx context.Context, env Env) (out Outcome, err error) {
	if err := t.parameters.Validate(); err != nil {
		return out, err
	}
	if err := root(); err != nil {
		return out, err
	}
	if err := packages.Sweep(); err != nil {
		return out, err
	}
	r := &Run{Env: env, XDP: "native", began: env.Now()}
	if r.Bed, err = bed.New(env.Program, env.Log); err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(ctx.Err(), err) // what fails when ctx ends is only its consequence
		}
		err = errors.Join(err, r.Bed.Close())
	}()
	if err := t.arms(ctx, r); err != nil {
		return out, err
	}
	if err := t.design.Conclude(r); err != nil {
		return out, err
	}
	return t.outcome(r)
}

// arms runs all arms.
func (t *Trial) arms(ctx context.Context, r *Run) error {
	defer r.Progress.End()
	r.Progress.Begin(1) // until the arms are known
	arms, err := t.design.Arms(ctx, r)
	if err != nil {
		return err
	}
	total := 0
	for _, a := range arms {
		total += a.Steps
	}
	r.Progress.Begin(max(total, 1))
	for _, a := range arms {
		r.Step(a.Name)
		r.done = 0
		if err := a.Run(ctx); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		r.At(a.Steps)
		r.before += a.Steps
	}
	return nil
}

// outcome completes the report.
func (t *Trial) outcome(r *Run) (Outcome, error) {
	out := r.outcome
	e := t.experiment
	out.Result.Experiment, out.Result.Problem, out.Result.Seed = e.Name, e.Problem, r.Seed
	out.Result.Question, out.Result.Claim, out.Result.Method = e.Question, e.Claim, e.Method
	out.Result.Seconds = r.Now().Sub(r.began).Round(100 * time.Millisecond).Seconds()
	out.Result.Pass = report.Passed(out.Result.Checks, out.Result.Controls)
	out.Result.Parameters = t.parameters.Values()
	out.Result.Environment = report.Gather(r.Now())
	out.Result.Environment.Rig, out.Result.Environment.XDP, out.Result.Environment.Noise = e.Rig, r.XDP, r.Noise
	inOrder(e.Controls, out.Result.Controls)
	missing := append(absent(e.Checks, out.Result.Checks), absent(e.Controls, out.Result.Controls)...)
	missing = append(missing, unmeasured(e.Predictions, out.Result.Quantities)...)
	if len(missing) > 0 {
		return out, fmt.Errorf("experiment %s: declared and not reported: %s", e.Name, strings.Join(missing, ", "))
	}
	out.Result.Predictions = t.judge(out.Result.Quantities)
	return out, nil
}

// inOrder sorts checks as they are declared: the front page tells the first control. Others come after them.
func inOrder(declared []Statement, reported []report.Check) {
	at := func(c report.Check) int {
		if i := slices.IndexFunc(declared, func(d Statement) bool { return d.Name == c.Name }); i >= 0 {
			return i
		}
		return len(declared)
	}
	slices.SortStableFunc(reported, func(a, b report.Check) int { return at(a) - at(b) })
}

// absent returns the names of the declared checks that are not in a report.
func absent(declared []Statement, reported []report.Check) (names []string) {
	for _, d := range declared {
		if !slices.ContainsFunc(reported, func(c report.Check) bool { return c.Name == d.Name }) {
			names = append(names, d.Name)
		}
	}
	return names
}

// Check enters checks.
func (r *Run) Check(c ...report.Check) {
	r.outcome.Result.Checks = append(r.outcome.Result.Checks, c...)
}

// Control enters controls.
func (r *Run) Control(c ...report.Check) {
	r.outcome.Result.Controls = append(r.outcome.Result.Controls, c...)
}

// Headline enters the evidence in one sentence of measured figures: what the front page says of the experiment. It must
// be true however the checks came out: "0 of 4,000 connections reached a second replica".
func (r *Run) Headline(format string, values ...any) {
	r.outcome.Result.Headline = fmt.Sprintf(format, values...)
}

// Quantity enters figures that were measured: one for each prediction, by its name, and others that are worth comparing
// between two runs. Estimate.Quantity of package measure makes one of what has noise.
func (r *Run) Quantity(q ...report.Quantity) {
	r.outcome.Result.Quantities = append(r.outcome.Result.Quantities, q...)
}

// Table enters tables.
func (r *Run) Table(t ...report.Table) {
	r.outcome.Result.Tables = append(r.outcome.Result.Tables, t...)
}

// Figure enters figures.
func (r *Run) Figure(f ...report.Figure) { r.outcome.Figures = append(r.outcome.Figures, f...) }

// Step tells the progress bar that another part begins.
func (r *Run) Step(what string) { r.Progress.Step(what) }

// At tells the progress bar how many steps of the arm are done.
func (r *Run) At(done int) {
	r.done = done
	r.Progress.At(r.before + done)
}

// Advance tells the progress bar that n more steps of the arm are done.
func (r *Run) Advance(n int) { r.At(r.done + n) }

// Random returns a source of random numbers that the seed and the number of the stream decide.
func (r *Run) Random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(r.Seed, stream)) }
