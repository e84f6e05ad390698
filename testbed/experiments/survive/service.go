package survive

import (
	"fmt"
	"net/netip"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/scheduler"
	"lbctl/rss/packet"
	"lbctl/testbed/bed"
	"lbctl/testbed/traffic/hold"
)

// started is how many replicas a service that is changed has at first; it never has fewer than fewest that are active.
const (
	started = 5
	fewest  = 3
)

// service is one of the load balancer, as it was last set, with its table worked out here.
type service struct {
	lb.Service
	name string
	// number settles its ports.
	number int
	// every flow that starts is remembered, since the table's function has changed.
	watched bool
	// table holds the number of each slot's replica.
	table []int
}

// newService makes a service over the replicas numbered from first to first+n-1.
func newService(name string, number, first, n int, s lb.Service) *service {
	made := &service{name: name, number: number}
	s.VIP = lb.VIP{Address: shifted(bed.VIP(), number), Protocol: packet.TCP}
	for i := range n {
		s.Replicas = append(s.Replicas, lb.Replica{Address: made.replica(first + i), Weight: 1})
	}
	made.set(s.WithDefaults())
	return made
}

// shifted returns the address with a port that is n higher.
func shifted(a netip.AddrPort, n int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), a.Port()+uint16(n))
}

// replica returns where replica i of the stage serves the service.
func (s *service) replica(i int) netip.AddrPort { return shifted(bed.ReplicaAddress(i), s.number) }

// index returns the number of a replica by its address, -1 if there is none.
func (s *service) index(a netip.AddrPort) int {
	for i := range bed.MaxReplicas {
		if s.replica(i) == a {
			return i
		}
	}
	return -1
}

// set takes note of what the service is from now on.
func (s *service) set(now lb.Service) {
	if s.table != nil && (now.TableSize != s.TableSize || now.Seed != s.Seed) {
		s.watched = true
	}
	s.Service = now
	numbers := make([]int, len(now.Replicas))
	for i, r := range now.Replicas {
		numbers[i] = s.index(r.Address)
	}
	s.table = s.table[:0]
	for _, owner := range scheduler.Build(now) {
		s.table = append(s.table, numbers[owner])
	}
}

// owner returns the number of the replica that a flow that starts now goes to.
func (s *service) owner(f packet.Flow) int {
	return s.table[oracle.Hash(s.Service, nil, f)%s.TableSize]
}

// records tells whether every flow that starts is remembered.
func (s *service) records() bool {
	return s.Tracking == lb.TrackAlways || s.Tracking == lb.TrackChanges && s.watched
}

// state returns the state of a replica by its number, and whether it is listed.
func (s *service) state(i int) (lb.ReplicaState, bool) {
	for _, r := range s.Replicas {
		if r.Address == s.replica(i) {
			return r.State, true
		}
	}
	return lb.Down, false
}

// place returns the place of a replica's connections.
func (s *service) place(i int) hold.Place { return hold.Place{VIP: s.VIP.Address, Replica: i} }

// down returns the places of the replicas that are down.
func (s *service) down() (all []hold.Place) {
	for _, r := range s.Replicas {
		if r.State == lb.Down {
			all = append(all, s.place(s.index(r.Address)))
		}
	}
	return all
}

// snapshot returns a copy that later changes leave alone.
func (s *service) snapshot() *service {
	c := *s
	c.Service, c.table = s.Clone(), append([]int(nil), s.table...)
	return &c
}

// cast makes all services of the experiment. Their order is that of their VIPs, hence of the numbers that the load balancer
// gives them; of four in a row each has places of its own for flows that start.
func (r *run) cast() {
	seed := func() uint32 { return uint32(r.random.Uint64()) }
	tracked := func(s lb.Service, how lb.Tracking) lb.Service {
		s.Seed, s.Tracking = seed(), how
		if how != lb.Stateless {
			s.Idle = r.idle
		}
		return s
	}
	maglev := lb.Service{Scheduler: lb.Maglev, TableSize: primes()[0]}
	r.services = []*service{
		newService("modulo", 0, 0, started, tracked(lb.Service{}, lb.TrackChanges)),
		newService("maglev", 1, 0, started, tracked(maglev, lb.TrackChanges)),
		newService("always", 2, 0, started, tracked(maglev, lb.TrackAlways)),
	}
	large := lb.Service{Scheduler: lb.Maglev} // so that slots are used again soon
	r.sink = newService("sink", 3, r.replicas+others, sinks, tracked(large, lb.TrackChanges))
	r.untracked = newService("never", 4, 0, started, tracked(lb.Service{}, lb.Stateless))
	r.other = newService("other", 5, r.replicas, others, tracked(maglev, lb.TrackChanges))
}

// ports is how many ports each replica serves at: one for each service.
const ports = 6

// String says what the service is.
func (s *service) String() string {
	return fmt.Sprintf("%s: %v, tracking %v, idle %v", s.name, s.Scheduler, s.Tracking, s.Idle.Round(time.Second))
}
