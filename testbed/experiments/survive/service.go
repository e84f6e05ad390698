package survive

import (
	"fmt"
	"net/netip"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/scheduler"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/traffic/hold"
)

// started is how many replicas a service that is changed has at first, fewest how many are always active.
const (
	started = 5
	fewest  = 3
)

// service is a service of the load balancer as it was last set, with its table computed here.
type service struct {
	lb.Service
	name string
	// number decides its ports.
	number int
	// rehashed tells that the table's size or the hash's seed has changed: since then every new flow is remembered.
	rehashed bool
	// table holds the number of each slot's replica.
	table []int
}

// newService makes a service over the replicas numbered from first to first+n-1.
func newService(name string, number, first, n int, s lb.Service) *service {
	made := &service{name: name, number: number}
	s.VIP = lb.VIP{Address: shifted(cluster.VIP(), number), Protocol: packet.TCP}
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

// replica returns the address at which replica i of the cluster serves the service.
func (s *service) replica(i int) netip.AddrPort { return shifted(cluster.ReplicaAddress(i), s.number) }

// index returns the number of a replica by its address, -1 if there is none.
func (s *service) index(a netip.AddrPort) int {
	for i := range cluster.MaxReplicas {
		if s.replica(i) == a {
			return i
		}
	}
	return -1
}

// set records what the service is from now on.
func (s *service) set(now lb.Service) {
	if s.table != nil && (now.TableSize != s.TableSize || now.Seed != s.Seed) {
		s.rehashed = true
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

// owner returns the number of the replica that a new flow goes to.
func (s *service) owner(f packet.Flow) int {
	return s.table[oracle.Hash(s.Service, nil, f)%s.TableSize]
}

// records tells whether every new flow is remembered.
func (s *service) records() bool {
	return s.Tracking == lb.TrackAlways || s.Tracking == lb.TrackChanges && s.rehashed
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

// makeServices makes all services of the experiment. Their order is that of their VIPs, hence of the ids that the load balancer
// gives them; four services with consecutive ids have separate places for half-open flows.
func (r *run) makeServices() {
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
	large := lb.Service{Scheduler: lb.Maglev} // so that ranges of slots are used again soon
	r.sink = newService("sink", 3, r.replicas+others, sinks, tracked(large, lb.TrackChanges))
	r.untracked = newService("never", 4, 0, started, tracked(lb.Service{}, lb.Stateless))
	r.other = newService("other", 5, r.replicas, others, tracked(maglev, lb.TrackChanges))
}

// ports is how many ports each replica listens at: one for each service.
const ports = 6

// String says what the service is.
func (s *service) String() string {
	return fmt.Sprintf("%s: %v, tracking %v, idle %v", s.name, s.Scheduler, s.Tracking, s.Idle.Round(time.Second))
}
