// Package conditions says in a few words whether services and the node are as they are wanted, as Kubernetes says it of its objects.
package conditions

import (
	"fmt"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/lb"
)

// The types. A node has Programmed and Ready.
const (
	Programmed = "Programmed"
	Healthy    = "Healthy"
	Ready      = "Ready"
)

// The statuses.
const (
	yes     = "true"
	no      = "false"
	unknown = "unknown"
)

// State is what conditions are of.
type State struct {
	Now    *engine.Snapshot
	Status engine.Status
	// Forwarded are the services that the datapath has.
	Forwarded map[lb.VIP]lb.Service

	memory *Memory
}

// observe returns the present state.
func observe(e *engine.Engine) (s State, err error) {
	if s.Status, err = e.Status(); err != nil {
		return s, err
	}
	now, all, err := e.Forwarded()
	s.Now, s.Forwarded = now, make(map[lb.VIP]lb.Service, len(all))
	for _, f := range all {
		s.Forwarded[f.VIP] = f
	}
	return s, err
}

// Node returns the conditions of the whole.
func (s State) Node() []api.Condition {
	programmed := api.Condition{Type: Programmed, Status: yes, Reason: "InSync"}
	var others []string
	for n, of := range s.Now.Effective.Services {
		if s.programmed(n).Status == no {
			others = append(others, of.Name)
		}
	}
	switch why := s.Status.OutOfSync; {
	case why != "":
		programmed = api.Condition{Type: Programmed, Status: no, Reason: "OutOfSync", Message: why}
	case len(others) > 0:
		programmed = api.Condition{Type: Programmed, Status: no, Reason: "ServicesDiffer", Message: fmt.Sprintf("%d of %d services; service %s", len(others), len(s.Now.Effective.Services), others[0])}
	}
	ready := api.Condition{Type: Ready, Status: yes, Reason: "ForwardsAsIntended"}
	if why := s.Status.NotReady(); why != "" {
		ready = api.Condition{Type: Ready, Status: no, Reason: "NotReady", Message: why}
	}
	s.memory.stamp(lb.VIP{}, &programmed, &ready)
	return []api.Condition{programmed, ready}
}

// Service returns the conditions of the nth service of the intent.
func (s State) Service(n int) []api.Condition {
	programmed := s.programmed(n)
	ready := s.ready(n, programmed)
	s.memory.stamp(s.Now.Effective.Services[n].VIP, &programmed, &ready)
	return []api.Condition{programmed, s.healthy(n), ready}
}

func (s State) programmed(n int) api.Condition {
	c := api.Condition{Type: Programmed, Status: yes, Reason: "InSync"}
	wanted := s.Now.Effective.Services[n].Service
	is, there := s.Forwarded[wanted.VIP]
	switch {
	case !there:
		c.Status, c.Reason, c.Message = no, "NotInDatapath", "the datapath does not have it"
	case !is.SameAs(wanted):
		c.Status, c.Reason, c.Message = no, "AnotherInDatapath", "what the datapath has is not what is wanted"
	case s.Status.OutOfSync != "":
		c.Status, c.Reason, c.Message = unknown, "OutOfSync", s.Status.OutOfSync
	}
	return c
}

// healthy looks at the replicas that the operator wants active.
func (s State) healthy(n int) api.Condition {
	of := s.Now.Given.Services[n]
	c := api.Condition{Type: Healthy, Status: yes, Reason: "ChecksPass"}
	if of.Health.Type == intent.NoCheck {
		return api.Condition{Type: Healthy, Status: unknown, Reason: "NotChecked", Message: "the service has no check"}
	}
	active, ill, open := 0, 0, 0
	var last time.Time
	for _, r := range of.Replicas {
		h, checked := s.Now.Health(engine.Endpoint{VIP: of.VIP, Replica: r.Address})
		if r.State != lb.Active || !checked {
			continue
		}
		active++
		if h.Since.After(last) {
			last = h.Since
		}
		switch h.Status {
		case engine.Unhealthy:
			if ill++; ill == 1 {
				c.Message = fmt.Sprintf("%v: %s", r.Address, h.Reason)
			}
		case engine.Unknown:
			open++
		}
	}
	if !last.IsZero() {
		last = last.UTC().Truncate(time.Millisecond)
		c.Since = &last
	}
	switch {
	case active == 0:
		c.Status, c.Reason = unknown, "NoActiveReplica"
	case ill > 0:
		c.Status, c.Reason, c.Message = no, "ChecksFail", fmt.Sprintf("%d of %d active replicas; %s", ill, active, c.Message)
	case open > 0:
		c.Status, c.Reason, c.Message = unknown, "NotCheckedYet", fmt.Sprintf("%d of %d active replicas", open, active)
	}
	return c
}

// ready looks for a replica that new flows get to.
func (s State) ready(n int, programmed api.Condition) api.Condition {
	if programmed.Status != yes {
		return api.Condition{Type: Ready, Status: programmed.Status, Reason: "NotProgrammed", Message: programmed.Message}
	}
	for _, r := range s.Now.Effective.Services[n].Service.Replicas {
		if _, unfit := s.Status.Condition.Unfit[r.Address.Addr()]; r.State == lb.Active && !unfit {
			return api.Condition{Type: Ready, Status: yes, Reason: "TakesNewFlows"}
		}
	}
	return api.Condition{Type: Ready, Status: no, Reason: "NoReplica", Message: "no replica takes new flows"}
}
