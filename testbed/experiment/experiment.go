// Package experiment is the frame of the lab's experiments and benchmarks.
//
// An Experiment declares itself: the question, the textbook's claim, the method, what it needs, its checks, its
// controls, and what a student predicts. Its Design has parameters, arms, and what is concluded from them. The frame
// does the rest: bounds and sizes of parameters, the bed, progress, and the report's outcome, environment and verdict.
// So an experiment is about three files: the declaration with its arms, the analysis in pure functions, and the test.
//
// Conclude enters what was found, and beside checks, controls, tables and figures two things that others rely on:
//
//	r.Headline("%s of %s connections reached a second replica.", ...)    one sentence, for the front page
//	r.Quantity(report.Quantity{Name: "moved", Value: 75.2, Unit: "%"})   one for each prediction, by its name
//
// A prediction is declared with its question, which does not give the answer away, and with how near a number must be:
//
//	Predictions: []experiment.Prediction{
//		{Name: "same-replica", Question: "Do all packets of a connection go to one replica?", Kind: experiment.YesNo},
//		{Name: "moved", Question: "What share of the connections moves?", Unit: "%", Tolerance: 5},
//	},
//
// lbctl lab describe NAME --handout asks these questions, lab run NAME --predict FILE holds the answers against the
// quantities. Their verdict is the student's, not the run's.
package experiment

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"lbctl/lb"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

// Experiment is one entry of the lab's catalogue.
type Experiment struct {
	// Name is what a user types: "spread".
	Name string
	// Problem is the number of the textbook problem that it answers: "5a, 10"; "speed" of a benchmark.
	Problem string
	// Question is one sentence with a question mark.
	Question string
	// Claim is the answer of the textbook, and Method how it is tested here: a student reads it before the answer.
	Claim, Method string
	// Needs is what the machine must have.
	Needs Needs
	// Checks and Controls are those that every report of the experiment holds, in words. A report without
	// one of them is an error of the experiment. There may be more, which depend on parameters. Controls are reported
	// in this order, and the front page tells the first one.
	Checks, Controls []Statement
	// Predictions are what a student is asked before the run. Each has a quantity of its name in every report.
	Predictions []Prediction
	// Rig says how frames come to queues, for the report: "softnic", "veth", "vm".
	Rig string
	// Design returns a new design, good for one run.
	Design func() Design
}

// Statement is a check or a control in words.
type Statement struct {
	// Name is its name in reports.
	Name string `json:"name"`
	// Text is what a check demands, or what a control breaks so that a check must fail.
	Text string `json:"text"`
}

// Needs is what an experiment needs of the machine. Every one needs root: its bed makes network namespaces and
// loads BPF programs.
type Needs struct {
	// Packages are Debian packages. The experiment installs those that are missing, unless a parameter forbids it.
	Packages []string
	// Time is about how long the experiment takes by its defaults on two cores, Quick by its quick sizes.
	Time, Quick time.Duration
}

// Design is how an experiment is done.
type Design interface {
	// Parameters defines the parameters. Their values are in the design.
	Parameters(*Parameters)
	// Arms prepares the bed and returns the arms, in order.
	Arms(context.Context, *Run) ([]Arm, error)
	// Conclude enters checks, controls, tables and figures in the run, from what the arms found. A check
	// that fails is no error.
	Conclude(*Run) error
}

// Arm is one arm of an experiment: a set-up and what is done with it.
type Arm struct {
	// Name is what the progress bar says: "control: spray".
	Name string
	// Steps is its share of the work, in the experiment's unit: requests, changes. It may be 0.
	Steps int
	// Run runs it. When ctx ends it returns soon.
	Run func(context.Context) error
}

// Trial is an experiment with its parameters, good for one run.
type Trial struct {
	experiment Experiment
	design     Design
	parameters *Parameters
	answers    Answers
}

// Trial returns a new trial with the default parameters.
func (e Experiment) Trial() *Trial {
	d := e.Design()
	return &Trial{experiment: e, design: d, parameters: NewParameters(d)}
}

// Parameters are those of the trial: to be set before Run.
func (t *Trial) Parameters() *Parameters { return t.parameters }

// Predict sets the predictions that the run is held against: see Experiment.ReadAnswers.
func (t *Trial) Predict(a Answers) { t.answers = a }

// Outcome is what a run found, and its drawings.
type Outcome struct {
	Result  report.Result
	Figures []report.Figure
}

// Env is what a run is given from outside.
type Env struct {
	// Program is the path of the lbctl binary, which is started as load balancer, replica and client.
	Program string
	// Seed decides everything that is chosen at random.
	Seed uint64
	// Progress is told how far the run is.
	Progress progress.Progress
	// Log gets details for debugging.
	Log *slog.Logger
	// Now is the clock of the report.
	Now func() time.Time
}

// root returns an error that wraps lb.ErrDenied unless the process is root.
func root() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("run experiment: %w: it makes network namespaces and loads BPF programs", lb.ErrDenied)
	}
	return nil
}
