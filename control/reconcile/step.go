package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"lbctl/control/intent"
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
	// Service is what Set sets; Remove uses its VIP alone, and has its EndPort.
	Service lb.Service
	// Interface is what Attach and Detach act on.
	Interface intent.Interface
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

// Hint says what an operator can do about the refusal, in one line.
func (e *StepError) Hint() string {
	switch {
	case errors.Is(e.Err, lb.ErrDenied):
		return "run the daemon as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
	case e.Step.Verb == Attach:
		return e.attachHint()
	case errors.Is(e.Err, lb.ErrFull) && strings.Contains(e.Err.Error(), "slots"):
		return "lower the table_size of a service, or raise datapath.limits.slots and restart the daemon: traffic goes on meanwhile"
	case errors.Is(e.Err, lb.ErrFull):
		return "remove services, or raise datapath.limits and restart the daemon: traffic goes on meanwhile"
	case errors.Is(e.Err, lb.ErrNotFound):
		return "somebody else changed the datapath; try again"
	}
	return "nothing was changed; the daemon's log says more"
}

func (e *StepError) attachHint() string {
	name := e.Step.Interface.Name
	var hinted interface{ Hint() string }
	switch {
	case errors.As(e.Err, &hinted):
		return hinted.Hint()
	case errors.Is(e.Err, lb.ErrNotFound):
		return "name an interface that ip link shows in the daemon's network namespace"
	case errors.Is(e.Err, lb.ErrConflict):
		return fmt.Sprintf("unload the other program (ip link set dev %s xdp off), or detach the interface first", name)
	case errors.Is(e.Err, lb.ErrUnsupported):
		return fmt.Sprintf("use mode generic or auto, or lower the MTU (ip link set dev %s mtu 1500)", name)
	}
	return "the daemon's log says more"
}
