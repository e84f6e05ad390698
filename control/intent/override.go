package intent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lbctl/lb"
)

// Target names a replica of a service, of which something was set by hand.
type Target struct {
	Service string
	Replica netip.AddrPort
}

// Compare orders targets by service and replica.
func (t Target) Compare(u Target) int {
	if c := strings.Compare(t.Service, u.Service); c != 0 {
		return c
	}
	return t.Replica.Compare(u.Replica)
}

// Override is what an operator has set by hand on a replica, over what the configuration declares. The zero
// value sets nothing, and is not kept.
type Override struct {
	// SetsState tells that State and DrainUntil stand for the declared ones.
	SetsState  bool
	State      lb.ReplicaState
	DrainUntil time.Time
	// Weight stands for the declared one, unless it is 0.
	Weight uint16
	// Note is why, in the operator's words.
	Note string
	// Actor is who set it, Since when: whole seconds, UTC.
	Actor string
	Since time.Time
}

// IsZero reports whether the override sets nothing.
func (o Override) IsZero() bool { return !o.SetsState && o.Weight == 0 }

// SameAs reports whether two overrides set the same, whoever has set it.
func (o Override) SameAs(p Override) bool {
	return o.SetsState == p.SetsState && o.State == p.State && o.DrainUntil.Equal(p.DrainUntil) && o.Weight == p.Weight && o.Note == p.Note
}

// Equal reports whether two overrides are the same, also in who has set them and when.
func (o Override) Equal(p Override) bool {
	return o.SameAs(p) && o.Actor == p.Actor && o.Since.Equal(p.Since)
}

// Over returns a replica that a service declares as the override has it. A weight has no effect while the service's
// scheduler has none.
func (o Override) Over(r Replica, s Service) Replica {
	if o.SetsState {
		r.State, r.DrainUntil = o.State, o.DrainUntil
	}
	if o.Weight != 0 && s.Scheduler != lb.Modulo {
		r.Weight = o.Weight
	}
	return r
}

// Overrides are what was set by hand. They are not changed once they are part of an intent.
type Overrides map[Target]Override

// Equal reports whether two are the same.
func (o Overrides) Equal(p Overrides) bool { return maps.EqualFunc(o, p, Override.Equal) }

// Differing returns the services of which something is set by hand in one that is not so in the other.
func (o Overrides) Differing(p Overrides) map[string]bool {
	names := map[string]bool{}
	for t, is := range o {
		if other, there := p[t]; !there || !is.Equal(other) {
			names[t.Service] = true
		}
	}
	for t := range p {
		if _, there := o[t]; !there {
			names[t.Service] = true
		}
	}
	return names
}

// Without returns the overrides less those of a service; of all services if it is "".
func (o Overrides) Without(service string) Overrides {
	left := Overrides{}
	for t, one := range o {
		if service != "" && t.Service != service {
			left[t] = one
		}
	}
	return left
}

// Stamped returns the overrides with who has set them, and when: those that set the same as before keep what they had.
func (o Overrides) Stamped(before Overrides, actor string, now time.Time) Overrides {
	stamped := make(Overrides, len(o))
	for t, one := range o {
		if was, had := before[t]; had && was.SameAs(one) {
			stamped[t] = was
			continue
		}
		one.Actor, one.Since = actor, now.UTC().Truncate(time.Second)
		stamped[t] = one
	}
	return stamped
}

// ByHand is an override, and what it is over.
type ByHand struct {
	Set
	Declared Replica
}

// ByHand lists what was set by hand, in the order of services and replicas.
func (i Intent) ByHand() (all []ByHand) {
	if len(i.Overrides) == 0 {
		return nil
	}
	touched := i.Overrides.services()
	for _, s := range i.Services {
		if !touched[s.Name] {
			continue
		}
		for _, r := range s.AllReplicas() {
			t := Target{s.Name, r.Address}
			if o, is := i.Overrides[t]; is {
				all = append(all, ByHand{Set{t, o}, r})
			}
		}
	}
	return all
}

// services are the names of the services that have an override.
func (o Overrides) services() map[string]bool {
	names := make(map[string]bool, len(o))
	for t := range o {
		names[t.Service] = true
	}
	return names
}

// Wanted returns what is wanted now: the configuration with what was set by hand over it. It has no overrides.
func (i Intent) Wanted() Intent {
	if len(i.Overrides) == 0 {
		return i
	}
	touched := i.Overrides.services()
	i.Services = slices.Clone(i.Services)
	for n, s := range i.Services {
		if !touched[s.Name] {
			continue
		}
		all := s.AllReplicas()
		for k, r := range all {
			all[k] = i.Overrides[Target{s.Name, r.Address}].Over(r, *s)
		}
		over := s.WithReplicas(all)
		i.Services[n] = &over
	}
	i.Overrides = nil
	return i
}

// WithOverride returns the intent with a replica set by hand, or with an override that sets nothing, as it is declared.
// Errors: lb.ErrNotFound; an *Error with the field "weight".
func (i Intent) WithOverride(t Target, o Override) (Intent, error) {
	s, err := i.Service(t.Service)
	if err != nil {
		return i, err
	}
	if s.Index(t.Replica) < 0 {
		return i, fmt.Errorf("replica %v of service %q: %w", t.Replica, t.Service, lb.ErrNotFound)
	}
	var ps Problems
	i.checkWeight(&ps, "", s, t, o)
	if err := ps.Err(); err != nil {
		return i, err
	}
	i.Overrides = maps.Clone(i.Overrides)
	if i.Overrides == nil {
		i.Overrides = Overrides{}
	}
	i.Overrides[t] = o
	if o.IsZero() {
		delete(i.Overrides, t)
	}
	return i, nil
}

// checkWeight refuses a weight that has no effect, unless it is there already.
func (i Intent) checkWeight(ps *Problems, field string, s Service, t Target, o Override) {
	if o.Weight != 0 && s.Scheduler == lb.Modulo && i.Overrides[t].Weight != o.Weight {
		ps.Add(field+"weight", "leave the weight out, or have the service use scheduler maglev", "%d with modulo, which has no weights", o.Weight)
	}
}

// Has reports whether the intent has a replica.
func (i Intent) Has(t Target) bool {
	s, err := i.Service(t.Service)
	return err == nil && s.Index(t.Replica) >= 0
}

// Set is an override and the replica that it is of.
type Set struct {
	Target
	Override
}

// Overridden returns overrides of a list in which every replica is once.
func Overridden(list []Set) Overrides {
	all := make(Overrides, len(list))
	for _, s := range list {
		all[s.Target] = s.Override
	}
	return all
}

// WithOverrides returns the intent with other overrides. The error is an *Error whose fields are paths in the
// list: "overrides[0].replica".
func (i Intent) WithOverrides(list []Set) (Intent, error) {
	services := make(map[string]Service, len(i.Services))
	for _, s := range i.Services {
		services[s.Name] = *s
	}
	var ps Problems
	for n, set := range list {
		field := fmt.Sprintf("overrides[%d].", n)
		s, there := services[set.Service]
		switch {
		case !there:
			ps.Add(field+"service_name", "want the name of a service: lbctl get services", "%q: there is no such service", set.Service)
		case s.Index(set.Replica) < 0:
			ps.Add(field+"replica", "want a replica of the service: lbctl get replicas "+s.Name, "%v: service %s has no such replica", set.Replica, s.Name)
		}
		i.checkWeight(&ps, field, s, set.Target, set.Override)
	}
	if err := ps.Err(); err != nil {
		return i, err
	}
	i.Overrides = Overridden(list)
	return i, nil
}

// Keeping returns the intent with overrides in the place of its own, less those of replicas that it does not have:
// an override goes with its replica.
func (i Intent) Keeping(o Overrides) Intent {
	i.Overrides = o
	kept := i.ByHand()
	if len(kept) == len(o) {
		return i
	}
	i.Overrides = make(Overrides, len(kept))
	for _, b := range kept {
		i.Overrides[b.Target] = b.Override
	}
	return i
}
