// Package reconcile turns the difference between what a datapath forwards and
// what it should forward into an ordered plan, and executes plans.
//
// Plan is a pure function. A plan that stopped half way is continued by planning
// again from the state that it left.
package reconcile

import (
	"lbctl/lb"
)

// State is what a datapath forwards, or should forward. The zero value forwards
// nothing.
type State struct {
	Services   []lb.Service
	Interfaces []Attachment
}

// Attachment is an interface and how it is, or should be, attached. The mode of
// an intended attachment may be lb.Auto, which any mode fulfils.
type Attachment struct {
	Name string
	Mode lb.AttachMode
}

// Current reads the state of a datapath.
func Current(dp lb.Dataplane) (State, error) {
	services, err := dp.Services()
	if err != nil {
		return State{}, err
	}
	interfaces, err := dp.Interfaces()
	if err != nil {
		return State{}, err
	}
	s := State{Services: services}
	for _, i := range interfaces {
		s.Interfaces = append(s.Interfaces, Attachment{Name: i.Name, Mode: i.Mode})
	}
	return s, nil
}

// fulfils reports whether an attachment in mode is what was asked for.
func fulfils(mode, asked lb.AttachMode) bool {
	return asked == mode || asked == lb.Auto
}
