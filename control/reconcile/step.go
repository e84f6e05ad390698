package reconcile

import (
	"context"
	"fmt"
	"strings"

	"lbctl/lb"
)

// Verb is what a step does to the datapath.
type Verb string

// The verbs.
const (
	Set    Verb = "set"
	Attach Verb = "attach"
	Detach Verb = "detach"
	Remove Verb = "remove"
)

// Why says what a step is for.
type Why string

// The causes of a step.
const (
	// New: it did not exist.
	New Why = "new"
	// Changed: it existed and differs.
	Changed Why = "changed"
	// Releasing: a service lets go of replicas that another one takes; a later step completes it.
	Releasing Why = "releases replicas"
	// Gone: it is no longer wanted.
	Gone Why = "gone"
)

// Step is one atomic change of a datapath.
type Step struct {
	Verb Verb
	Why  Why
	// Service is what Set sets; Remove uses its VIP alone.
	Service lb.Service
	// Interface is what Attach and Detach act on.
	Interface Attachment
}

// Target names what the step acts on: "tcp 192.0.2.1:80", "eth0".
func (s Step) Target() string {
	switch s.Verb {
	case Attach, Detach:
		return s.Interface.Name
	}
	return s.Service.VIP.String()
}

// String returns "set tcp 192.0.2.1:80".
func (s Step) String() string { return fmt.Sprintf("%s %s", s.Verb, s.Target()) }

// do executes the step.
func (s Step) do(ctx context.Context, dp lb.Dataplane) error {
	switch s.Verb {
	case Set:
		return dp.SetService(ctx, s.Service)
	case Remove:
		return dp.RemoveService(ctx, s.Service.VIP)
	case Attach:
		_, err := dp.Attach(ctx, s.Interface.Name, s.Interface.Mode)
		return err
	case Detach:
		return dp.Detach(ctx, s.Interface.Name)
	}
	return fmt.Errorf("verb %q: %w", s.Verb, lb.ErrUnsupported)
}

// StepError is the refusal of one step. The steps before it are done, it and
// those after it are not.
type StepError struct {
	Step Step
	// Done is the number of steps done before.
	Done int
	Err  error
}

// Error names the step, unless the datapath's error begins with it already.
func (e *StepError) Error() string {
	step, cause := e.Step.String(), e.Err.Error()
	if strings.HasPrefix(cause, step+":") {
		return cause
	}
	return step + ": " + cause
}

// Unwrap returns the datapath's error.
func (e *StepError) Unwrap() error { return e.Err }

// Execute does the steps in order and stops at the first refusal, which it
// returns as a *StepError.
func Execute(ctx context.Context, dp lb.Dataplane, steps []Step) error {
	for i, s := range steps {
		if err := s.do(ctx, dp); err != nil {
			return &StepError{Step: s, Done: i, Err: err}
		}
	}
	return nil
}
