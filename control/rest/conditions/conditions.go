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

// The types. A node has Programmed and Ready, a service all three, in this order.
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

// given is what the conditions of services follow from.
type given struct {
	now       *engine.Snapshot
	outOfSync string
	// forwarded are the services that the datapath has.
	forwarded map[lb.VIP]lb.Service
	condition lb.Condition
	// moment is when.
	moment time.Time
}

// node returns the conditions of the whole.
func (all *services) node(of engine.Status) []api.Condition {
	programmed := api.Condition{Type: Programmed, Status: yes, Reason: "InSync"}
	switch {
	case of.OutOfSync != "":
		programmed = api.Condition{Type: Programmed, Status: no, Reason: "OutOfSync", Message: of.OutOfSync}
	case all.differ > 0:
		programmed = api.Condition{Type: Programmed, Status: no, Reason: "ServicesDiffer", Message: fmt.Sprintf("%d of %d services; service %s", all.differ, len(all.conditions), all.first)}
	}
	ready := api.Condition{Type: Ready, Status: yes, Reason: "ForwardsAsIntended"}
	if why := of.NotReady(); why != "" {
		ready = api.Condition{Type: Ready, Status: no, Reason: "NotReady", Message: why}
	}
	return []api.Condition{programmed, ready}
}

// service returns the conditions of the nth service of the intent.
func (g given) service(n int) []api.Condition {
	programmed := g.programmed(n)
	return []api.Condition{programmed, g.healthy(n), g.ready(n, programmed)}
}

func (g given) programmed(n int) api.Condition {
	c := api.Condition{Type: Programmed, Status: yes, Reason: "InSync"}
	wanted := g.now.Effective.Services[n].Service
	is, there := g.forwarded[wanted.VIP]
	switch {
	case !there:
		c.Status, c.Reason, c.Message = no, "NotInDatapath", "the datapath does not have it"
	case !is.SameAs(wanted):
		c.Status, c.Reason, c.Message = no, "AnotherInDatapath", "what the datapath has is not what is wanted"
	case g.outOfSync != "":
		c.Status, c.Reason, c.Message = unknown, "OutOfSync", g.outOfSync
	}
	return c
}

// healthy looks at the replicas that the operator wants active.
func (g given) healthy(n int) api.Condition {
	of := g.now.Given.Services[n]
	c := api.Condition{Type: Healthy, Status: yes, Reason: "ChecksPass"}
	if of.Health.Type == intent.NoCheck {
		return api.Condition{Type: Healthy, Status: unknown, Reason: "NotChecked", Message: "the service has no check"}
	}
	active, ill, open := 0, 0, 0
	var last time.Time
	for _, r := range of.Replicas {
		h, checked := g.now.Health(engine.Endpoint{VIP: of.VIP, Replica: r.Address})
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
		c.Since = at(last)
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
func (g given) ready(n int, programmed api.Condition) api.Condition {
	if programmed.Status != yes {
		return api.Condition{Type: Ready, Status: programmed.Status, Reason: "NotProgrammed", Message: programmed.Message}
	}
	for _, r := range g.now.Effective.Services[n].Service.Replicas {
		if _, unfit := g.condition.Unfit[r.Address.Addr()]; r.State == lb.Active && !unfit {
			return api.Condition{Type: Ready, Status: yes, Reason: "TakesNewFlows"}
		}
	}
	return api.Condition{Type: Ready, Status: no, Reason: "NoReplica", Message: "no replica takes new flows"}
}

// at is a time as the API tells it.
func at(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}
