package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"lbctl/control/api"
	"lbctl/lb"
)

// Replica is a replica and how long it may drain.
type Replica struct {
	lb.Replica
	// DrainUntil is when a draining replica is set down: whole seconds, UTC. Zero is never.
	DrainUntil time.Time
}

// ResolveReplica makes a valid replica of a document. The error is an *Error with
// fields "address", "weight", "state" and "drain_until".
func ResolveReplica(doc api.Replica) (Replica, error) {
	var ps problems
	r := resolveReplica(&ps, "", doc)
	return r, ps.err()
}

func resolveReplicas(ps *problems, field string, docs []api.Replica) []Replica {
	if docs == nil {
		ps.add(field, "write the replicas, or replicas: [] for none; is the file complete?", "missing")
	}
	replicas := make([]Replica, 0, len(docs))
	for n, d := range docs {
		replicas = append(replicas, resolveReplica(ps, fmt.Sprintf("%s[%d].", field, n), d))
	}
	return replicas
}

func resolveReplica(ps *problems, field string, d api.Replica) Replica {
	r := Replica{Replica: lb.Replica{
		Address: address(ps, field+"address", d.Address),
		Weight:  weight(ps, field+"weight", d.Weight),
		State:   choice(ps, field+"state", d.State, lb.Active, lb.ParseReplicaState, lb.Active, lb.Draining, lb.Down),
	}}
	if d.DrainUntil == "" {
		return r
	}
	if r.State != lb.Draining {
		ps.add(field+"drain_until", "leave it out, or write state: draining", "%s with state %v", d.DrainUntil, r.State)
	}
	r.DrainUntil = deadline(ps, field+"drain_until", d.DrainUntil)
	return r
}

// weight parses a weight; none is 1.
func weight(ps *problems, field string, w *int64) uint16 {
	switch {
	case w == nil:
		return 1
	case *w < 1 || *w > math.MaxUint16:
		ps.add(field, "want 1 to 65535; to send a replica nothing, set its state to down", "%d is not a weight", *w)
		return 1
	}
	return uint16(*w)
}

// deadline parses a time in whole seconds.
func deadline(ps *problems, field, text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Nanosecond() != 0 {
		ps.add(field, "want a time in whole seconds as RFC 3339 writes it: 2030-01-31T12:00:00Z", "%q is not a deadline", text)
	}
	return t.UTC()
}

// withReplicas returns the service with other replicas.
func (s Service) withReplicas(replicas []Replica) Service {
	s.Replicas, s.Deadlines = make([]lb.Replica, 0, len(replicas)), nil
	for _, r := range replicas {
		s.Replicas = append(s.Replicas, r.Replica)
		if !r.DrainUntil.IsZero() {
			s.setDeadline(r)
		}
	}
	return s
}

func (s *Service) setDeadline(r Replica) {
	if s.Deadlines == nil {
		s.Deadlines = map[netip.AddrPort]time.Time{}
	}
	s.Deadlines[r.Address] = r.DrainUntil
}

// replicas are those of the service, with their deadlines.
func (s Service) replicas() []Replica {
	all := make([]Replica, 0, len(s.Replicas))
	for _, r := range s.Replicas {
		all = append(all, Replica{r, s.Deadlines[r.Address]})
	}
	return all
}

// changed is withReplicas of a service that has its defaults: the table of modulo follows.
func (s Service) changed(replicas []Replica) Service {
	s = s.withReplicas(replicas)
	if s.Scheduler == lb.Modulo {
		s.TableSize = s.Active()
	}
	return s
}

// State returns the state of the replica of an address, false when there is none.
func (s Service) State(a netip.AddrPort) (lb.ReplicaState, bool) {
	n := s.index(a)
	if n < 0 {
		return 0, false
	}
	return s.Replicas[n].State, true
}

// WithReplica returns the service with a replica in the place of the one with its address, or
// at the end.
func (s Service) WithReplica(r Replica) Service {
	all := s.replicas()
	if n := s.index(r.Address); n >= 0 {
		all[n] = r
	} else {
		all = append(all, r)
	}
	return s.changed(all)
}

// WithoutReplica returns the service without the replica of an address, and whether it had one.
func (s Service) WithoutReplica(a netip.AddrPort) (Service, bool) {
	n := s.index(a)
	if n < 0 {
		return s, false
	}
	return s.changed(slices.Delete(s.replicas(), n, n+1)), true
}

func (s Service) index(a netip.AddrPort) int {
	return slices.IndexFunc(s.Replicas, func(r lb.Replica) bool { return r.Address == a })
}
