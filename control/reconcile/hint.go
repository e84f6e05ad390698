package reconcile

import (
	"errors"
	"fmt"

	"lbctl/lb"
)

// Hint says what an operator can do about the refusal, in one line.
func (e *StepError) Hint() string {
	switch {
	case errors.Is(e.Err, lb.ErrDenied):
		return "run the daemon as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
	case e.Step.Verb == Attach:
		return e.attachHint()
	case errors.Is(e.Err, lb.ErrFull):
		return "remove services, or make the tables anew with larger datapath.limits: stop the daemon, lbctl purge, start it"
	case errors.Is(e.Err, lb.ErrNotFound):
		return "somebody else changed the datapath; try again"
	}
	return "nothing was changed; the daemon's log says more"
}

func (e *StepError) attachHint() string {
	name := e.Step.Interface.Name
	switch {
	case errors.Is(e.Err, lb.ErrNotFound):
		return "name an interface that ip link shows in the daemon's network namespace"
	case errors.Is(e.Err, lb.ErrConflict):
		return fmt.Sprintf("unload the other program (ip link set dev %s xdp off), or detach the interface first", name)
	case errors.Is(e.Err, lb.ErrUnsupported):
		return fmt.Sprintf("use mode generic or auto, or lower the MTU (ip link set dev %s mtu 1500)", name)
	}
	return "the daemon's log says more"
}
