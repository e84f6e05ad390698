package experiment

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/testbed/report"
)

// counting is a design whose arms count, and progress that is written down.
type counting struct {
	sample
	run  *Run
	told []int
	arms []Arm
}

func (c *counting) Begin(int)   {}
func (c *counting) Step(string) {}
func (c *counting) At(done int) { c.told = append(c.told, done) }
func (c *counting) End()        {}

func (c *counting) Arms(_ context.Context, r *Run) ([]Arm, error) { c.run = r; return c.arms, nil }

func (c *counting) Conclude(r *Run) error {
	aim := report.Check{Name: "sum"}
	r.Check(report.Check{Name: "sum", Pass: true})
	r.Control(Flips(report.Check{Name: "broken", Pass: true}, aim))
	r.Headline("%d were counted.", 15)
	r.Quantity(report.Quantity{Name: "counted", Value: 15, Unit: "steps"})
	return nil
}

// start runs a design.
func start(t *testing.T, ctx context.Context, c *counting, checks ...Statement) (Outcome, error) {
	t.Helper()
	need.Root(t)
	e := Experiment{Name: "counting", Problem: "0", Question: "How many?", Rig: "none", Checks: checks, Design: func() Design { return c }}
	return e.Trial().Run(ctx, Env{
		Program: "/bin/true", Seed: 7, Progress: c, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(0, 0) },
	})
}

func TestRun(t *testing.T) {
	c := &counting{}
	c.arms = []Arm{
		{Name: "first", Steps: 10, Run: func(context.Context) error { c.run.Advance(3); c.run.Advance(4); return nil }},
		{Name: "second", Steps: 5, Run: func(context.Context) error { c.run.At(2); return nil }},
	}
	out, err := start(t, t.Context(), c, Statement{Name: "sum"})
	if err != nil {
		t.Fatal(err)
	}
	r := out.Result
	if !r.Pass || r.Experiment != "counting" || r.Seed != 7 || r.Parameters["replicas"] != 4 || r.Environment.Rig != "none" || len(r.Controls) != 1 ||
		r.Headline != "15 were counted." || len(r.Quantities) != 1 || r.Question != "How many?" {
		t.Errorf("result %+v", r)
	}
	if want := []int{3, 7, 10, 12, 15}; !slices.Equal(c.told, want) {
		t.Errorf("progress %v, want %v", c.told, want)
	}
	if found, _ := filepath.Glob(c.run.Bed.Path("")); len(found) != 0 {
		t.Errorf("the bed is still there: %v", found)
	}
}

// TestRunThatFails: the error names the arm, wraps the context's, and the bed is gone.
func TestRunThatFails(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	c := &counting{}
	c.arms = []Arm{{Name: "first", Run: func(context.Context) error { end(); return errors.New("no luck") }}}
	_, err := start(t, ctx, c)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "first: no luck") {
		t.Errorf("error %v", err)
	}
	if found, _ := filepath.Glob(c.run.Bed.Path("")); len(found) != 0 {
		t.Errorf("the bed is still there: %v", found)
	}
}

// TestDeclaredCheckMustBeReported: an experiment that forgets one of its checks fails.
func TestDeclaredCheckMustBeReported(t *testing.T) {
	if _, err := start(t, t.Context(), &counting{}, Statement{Name: "sum"}, Statement{Name: "forgotten"}); err == nil || !strings.Contains(err.Error(), "forgotten") {
		t.Errorf("error %v", err)
	}
}

// TestControlsAreInOrder: as declared, others after them.
func TestControlsAreInOrder(t *testing.T) {
	list := []report.Check{{Name: "x"}, {Name: "b"}, {Name: "y"}, {Name: "a"}}
	inOrder([]Statement{{Name: "a"}, {Name: "b"}}, list)
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	if want := []string{"a", "b", "x", "y"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

// TestFlips: a control whose aim passes is none.
func TestFlips(t *testing.T) {
	good := Flips(report.Check{Pass: true, Detail: "One."}, report.Check{Name: "a"})
	bad := Flips(report.Check{Pass: true}, report.Check{Name: "a"}, report.Check{Name: "b", Pass: true})
	if !good.Pass || good.Detail != "One. a failed, as it must." || bad.Pass || !strings.Contains(bad.Detail, "b passed") {
		t.Errorf("good %+v, bad %+v", good, bad)
	}
}
