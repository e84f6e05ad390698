// Package experiment says what an experiment of the lab is: a question, typed
// parameters, and a run that ends in a report with checks and controls.
package experiment

import (
	"context"
	"log/slog"
	"time"

	"lbctl/testbed/report"
)

// Experiment is one entry of the lab's catalogue.
type Experiment struct {
	// Name is what one types: "spread".
	Name string
	// Problem is the problem of the problem set: "5a, 10".
	Problem string
	// Summary is one sentence: the question.
	Summary string
	// Trial returns a new trial with the default parameters.
	Trial func() Trial
}

// Trial is an experiment with its parameters, good for one run.
type Trial interface {
	// Parameters are those of this trial: to be set before Run.
	Parameters() *Parameters
	// Run measures. An error means that nothing could be measured; a check that
	// failed is no error, it is in the result. When ctx ends, Run removes what it
	// made and returns an error that wraps ctx.Err().
	Run(ctx context.Context, env Env) (Outcome, error)
}

// Outcome is what a run found, and its drawings.
type Outcome struct {
	Result  report.Result
	Figures []report.Figure
}

// Env is what a run is given from outside.
type Env struct {
	// Program is the path of the lbctl binary, which is started as daemon, replica and client.
	Program string
	// Seed decides everything that is chosen at random.
	Seed uint64
	// Progress is told how far the run is.
	Progress Progress
	// Log gets what a person who looks for a fault wants to know.
	Log *slog.Logger
	// Now is the clock of the report.
	Now func() time.Time
}

// Progress is told how far a run is. Calls come from one goroutine at a time.
type Progress interface {
	// Begin says how much there is to do, in units of the experiment: requests.
	Begin(total int)
	// Step says that another part begins, and what it is: "control: spray".
	Step(what string)
	// At says how much is done since Begin.
	At(done int)
	// End says that there is no more to come, whether or not all was done.
	End()
}
