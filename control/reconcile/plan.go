// Package reconcile turns the difference between what a datapath forwards and
// what it should forward into an ordered plan, and executes plans.
//
// Plan is a pure function. A plan that stopped half way is continued by planning
// again from the state that it left.
package reconcile

import (
	"cmp"
	"maps"
	"slices"

	"lbctl/control/intent"
	"lbctl/lb"
)

// State is what a datapath forwards, or should forward. The zero value forwards
// nothing. States may share services: they are not written to.
type State struct {
	Services   []*lb.Service
	Interfaces []intent.Interface
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
	s := State{Services: make([]*lb.Service, 0, len(services))}
	for n := range services {
		s.Services = append(s.Services, &services[n])
	}
	s.Interfaces = Attached(interfaces)
	return s, nil
}

// Attached returns interfaces as they are attached.
func Attached(interfaces []lb.Interface) (all []intent.Interface) {
	for _, i := range interfaces {
		all = append(all, intent.Interface{Name: i.Name, Mode: i.Mode})
	}
	return all
}

// Fulfils reports whether an attachment in a mode is what was requested.
func Fulfils(mode, asked lb.AttachMode) bool {
	return asked == mode || asked == lb.Auto
}

// Plan returns the steps that bring a datapath from current to intended, both
// valid, within limits. It returns none when they are alike.
//
// The order: services are set before interfaces point packets at them, and
// removed after the interfaces that go were detached. Additions come before
// removals, with two exceptions: a nat replica that moves between VIPs is released before it
// is taken, and a service that must go to make room for another goes first. Within
// that, by VIP and by name, so that one difference has one plan.
//
// Where intended shares services with current, in the same places, it costs what the others cost.
func Plan(current, intended State, limits lb.Limits) []Step {
	p := planner{
		now:     map[lb.VIP]*lb.Service{},
		index:   lb.NewIndex(),
		leaving: map[lb.VIP]*lb.Service{},
		limits:  limits,
	}
	shared := func(n int) bool {
		return n < len(current.Services) && n < len(intended.Services) && current.Services[n] == intended.Services[n]
	}
	p.pending = byVIP(intended.Services, shared)
	for n, s := range current.Services {
		if shared(n) {
			p.stays(s)
			continue
		}
		p.begin(s)
	}
	p.set()
	p.interfaces(current.Interfaces, intended.Interfaces)
	for _, vip := range sorted(p.leaving) {
		p.remove(vip)
	}
	return p.steps
}

// byVIP returns services by their VIPs, without those in the places to leave out.
func byVIP(services []*lb.Service, without func(int) bool) map[lb.VIP]*lb.Service {
	m := map[lb.VIP]*lb.Service{}
	for n, s := range services {
		if !without(n) {
			m[s.VIP] = s
		}
	}
	return m
}

func sorted(m map[lb.VIP]*lb.Service) []lb.VIP {
	return slices.SortedFunc(maps.Keys(m), lb.VIP.Compare)
}

// interfaces plans attaches, then detaches. Changing the mode of an interface takes both, detach first:
// no datapath does it in one step.
func (p *planner) interfaces(current, intended []intent.Interface) {
	have, want := byName(current), byName(intended)
	for _, w := range want {
		h, attached := find(have, w.Name)
		switch {
		case !attached:
			p.add(Step{Verb: Attach, Why: New, Interface: w})
		case !Fulfils(h.Mode, w.Mode):
			p.add(Step{Verb: Detach, Why: Changed, Interface: h})
			p.add(Step{Verb: Attach, Why: Changed, Interface: w})
		}
	}
	for _, h := range have {
		if _, wanted := find(want, h.Name); !wanted {
			p.add(Step{Verb: Detach, Why: Gone, Interface: h})
		}
	}
}

func byName(as []intent.Interface) []intent.Interface {
	return slices.SortedFunc(slices.Values(as), compareNames)
}

func compareNames(a, b intent.Interface) int { return cmp.Compare(a.Name, b.Name) }

func find(as []intent.Interface, name string) (intent.Interface, bool) {
	i, ok := slices.BinarySearchFunc(as, intent.Interface{Name: name}, compareNames)
	if !ok {
		return intent.Interface{}, false
	}
	return as[i], true
}
