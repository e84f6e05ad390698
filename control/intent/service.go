package intent

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/lb"
)

// Service is a service, its name, how its replicas are checked and until when they drain.
type Service struct {
	Name string
	lb.Service
	// Pool is the pool that the replicas and deadlines are those of; "" if they are the service's own.
	Pool string
	// Health is how its replicas are checked. It is the control plane's alone: the datapath knows nothing of it.
	Health Check
	// Deadlines are when draining replicas are set down, by their address: whole seconds, UTC.
	// A draining replica that is not in it drains without end.
	Deadlines map[netip.AddrPort]time.Time
}

// List returns services as an intent has them.
func List(services ...Service) []*Service {
	all := make([]*Service, 0, len(services))
	for _, s := range services {
		all = append(all, &s)
	}
	return all
}

// Replica is a replica and how long it may drain.
type Replica struct {
	lb.Replica
	// DrainUntil is when a draining replica is set down: whole seconds, UTC. Zero is never.
	DrainUntil time.Time
}

// Expired reports whether a replica drained until a time that has come.
func (r Replica) Expired(now time.Time) bool {
	return !r.DrainUntil.IsZero() && !r.DrainUntil.After(now)
}

// Equal reports whether two services say the same.
func (s Service) Equal(t Service) bool {
	return s.Name == t.Name && s.Pool == t.Pool && s.SameAs(t.Service) && s.Health == t.Health && maps.EqualFunc(s.Deadlines, t.Deadlines, time.Time.Equal)
}

// Same reports whether two services are one, or say the same.
func (s *Service) Same(t *Service) bool { return s == t || s.Equal(*t) }

// State returns the state of the replica of an address, false when there is none.
func (s Service) State(a netip.AddrPort) (lb.ReplicaState, bool) {
	n := s.Index(a)
	if n < 0 {
		return 0, false
	}
	return s.Replicas[n].State, true
}

// Index returns where the replica of an address is, -1 when there is none.
func (s Service) Index(a netip.AddrPort) int {
	return slices.IndexFunc(s.Replicas, func(r lb.Replica) bool { return r.Address == a })
}

// AllReplicas returns the replicas with their deadlines, in order.
func (s Service) AllReplicas() []Replica {
	all := make([]Replica, 0, len(s.Replicas))
	for _, r := range s.Replicas {
		all = append(all, Replica{r, s.Deadlines[r.Address]})
	}
	return all
}

// WithReplicas returns the service with other replicas. The table size of modulo follows their number.
func (s Service) WithReplicas(replicas []Replica) Service {
	s.Replicas, s.Deadlines = make([]lb.Replica, 0, len(replicas)), nil
	for _, r := range replicas {
		s.Replicas = append(s.Replicas, r.Replica)
		if r.DrainUntil.IsZero() {
			continue
		}
		if s.Deadlines == nil {
			s.Deadlines = map[netip.AddrPort]time.Time{}
		}
		s.Deadlines[r.Address] = r.DrainUntil
	}
	if s.Scheduler == lb.Modulo {
		s.TableSize = s.Active()
	}
	return s
}

// WithReplica returns the service with a replica in the place of the one with its address, or
// at the end.
func (s Service) WithReplica(r Replica) Service {
	all := s.AllReplicas()
	if n := s.Index(r.Address); n >= 0 {
		all[n] = r
	} else {
		all = append(all, r)
	}
	return s.WithReplicas(all)
}

// WithoutReplica returns the service without the replica of an address, and whether it had one.
func (s Service) WithoutReplica(a netip.AddrPort) (Service, bool) {
	n := s.Index(a)
	if n < 0 {
		return s, false
	}
	return s.WithReplicas(slices.Delete(s.AllReplicas(), n, n+1)), true
}
