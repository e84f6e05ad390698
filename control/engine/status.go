package engine

import (
	"fmt"
	"slices"
	"strings"

	"lbctl/control/reconcile"
	"lbctl/lb"
)

// Status says whether the datapath forwards as intended.
type Status struct {
	// Revision is that of the intent.
	Revision uint64
	// OutOfSync says why the datapath may not forward as it should; "" when it is in sync.
	OutOfSync string
	// Condition is what others have done to the datapath.
	Condition lb.Condition
	// Interfaces are those that are wanted or attached, by name.
	Interfaces []InterfaceStatus
}

// InterfaceStatus is an interface that is wanted, or attached, or both.
type InterfaceStatus struct {
	Name string
	// Wanted is the mode that the intent asks for, "" when it does not name the interface.
	Wanted lb.AttachMode
	// Attached is how it is attached; its Mode is "" when it is not.
	Attached lb.Interface
	// Reason says why it is not attached as wanted, "" when it is.
	Reason string
}

// Forwarded returns the state and the services that the datapath has, both of one moment in which no change is under way. The error is
// the datapath's.
func (e *Engine) Forwarded() (*Snapshot, []lb.Service, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all, err := e.dp.Services()
	return e.now.Load(), all, err
}

// Status returns the present status. The error is the datapath's.
func (e *Engine) Status() (Status, error) {
	now := e.now.Load()
	s := Status{Revision: now.Number, OutOfSync: now.outOfSync}
	var err error
	if s.Condition, err = e.dp.Condition(); err != nil {
		return s, err
	}
	attached, err := e.dp.Interfaces()
	if err != nil {
		return s, err
	}
	for _, wanted := range now.Intent.Interfaces {
		i := InterfaceStatus{Name: wanted.Name, Wanted: wanted.Mode}
		n := slices.IndexFunc(attached, func(a lb.Interface) bool { return a.Name == wanted.Name })
		if n >= 0 {
			i.Attached = attached[n]
			attached = slices.Delete(attached, n, n+1)
		}
		i.Reason = i.reason(now.obstacles[wanted.Name])
		s.Interfaces = append(s.Interfaces, i)
	}
	for _, a := range attached {
		s.Interfaces = append(s.Interfaces, InterfaceStatus{Name: a.Name, Attached: a})
	}
	slices.SortFunc(s.Interfaces, func(a, b InterfaceStatus) int { return strings.Compare(a.Name, b.Name) })
	return s, nil
}

// reason says why the interface is not attached as wanted, given the obstacle that was met last.
func (i InterfaceStatus) reason(obstacle string) string {
	switch {
	case i.Attached.Mode != "" && reconcile.Fulfils(i.Attached.Mode, i.Wanted):
		return ""
	case obstacle != "":
		return obstacle
	case i.Attached.Mode != "":
		return fmt.Sprintf("attached in mode %s", i.Attached.Mode)
	}
	return "not attached"
}

// NotReady says why the datapath does not forward as intended, "" when it does.
func (s Status) NotReady() string {
	if s.OutOfSync != "" {
		return s.OutOfSync
	}
	if len(s.Condition.Faults) > 0 {
		return strings.Join(s.Condition.Faults, "; ")
	}
	for _, i := range s.Interfaces {
		if i.Reason != "" {
			return fmt.Sprintf("interface %s is wanted in mode %s: %s", i.Name, i.Wanted, i.Reason)
		}
	}
	return ""
}

// NotReady says why the datapath cannot be trusted to forward as intended, "" when it can.
func (e *Engine) NotReady() string {
	s, err := e.Status()
	if err != nil {
		return err.Error()
	}
	return s.NotReady()
}
