package change

import (
	"fmt"
	"net/netip"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
)

// how is what happens to the number of replicas.
type how string

const (
	grow   how = "one added"
	drain  how = "one drained"
	remove how = "one removed"
)

// service is one service, before and after the change.
type service struct {
	name          string
	kept          bool
	how           how
	before, after lb.Service
}

// idle is how long a flow may be silent and is still remembered: longer than the experiment leaves one silent.
const idle = 2 * time.Minute

// shifted returns the address with a port that is n higher.
func shifted(a netip.AddrPort, n int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), a.Port()+uint16(n))
}

// replicas returns the first n replicas of the service of a number.
func replicas(number, n int) (all []lb.Replica) {
	for i := range n {
		all = append(all, lb.Replica{Address: shifted(cluster.ReplicaAddress(i), number), Weight: 1})
	}
	return all
}

// newService returns the service of a number, which decides its ports, over n replicas.
func newService(number, n int, s lb.Service) lb.Service {
	s.VIP = lb.VIP{Address: shifted(cluster.VIP(), number), Protocol: packet.TCP}
	s.Replicas = replicas(number, n)
	return s.WithDefaults()
}

// changed returns the services whose replicas change: each scheduler with and without memory of flows. Without memory it makes no
// difference whether a replica is drained.
func changed(n int, seed func() uint32) (all []*service) {
	for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
		for _, c := range []struct {
			kept bool
			how  how
		}{{false, grow}, {false, remove}, {true, grow}, {true, drain}, {true, remove}} {
			number, s := len(all), lb.Service{Scheduler: scheduler, Seed: seed(), Tracking: lb.Stateless}
			if c.kept {
				s.Tracking, s.Idle = lb.TrackChanges, idle
			}
			one := &service{name: fmt.Sprintf("service-%d", number), kept: c.kept, how: c.how, before: newService(number, n, s)}
			switch c.how {
			case grow:
				one.after = newService(number, n+1, s)
			case remove:
				one.after = newService(number, n-1, s)
			case drain:
				one.after = one.before.Clone()
				one.after.Replicas[n-1].State = lb.Draining
				if scheduler == lb.Modulo {
					one.after.TableSize = 0
				}
				one.after = one.after.WithDefaults()
			}
			all = append(all, one)
		}
	}
	return all
}

// hashing returns a service that hashes as NICs do. Its number comes after those of the changed ones.
func hashing(number, n int, scheduler lb.Scheduler) *service {
	s := newService(number, n, lb.Service{Scheduler: scheduler, Hash: lb.ToeplitzHash, Tracking: lb.Stateless})
	return &service{name: fmt.Sprintf("service-%d", number), before: s, after: s}
}

// ways is how many services there are: ports at each replica.
const ways = 12
