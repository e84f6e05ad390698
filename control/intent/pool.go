package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lbctl/lb"
)

// Pool is replicas that are declared once and used by many services. Its replicas have the port 0 where they have that of the
// service.
//
// A service that uses a pool has its name beside the replicas that it has by it, so that who asks for a service's replicas need
// not know of pools. Linked has them agree. Services that get the same replicas of a pool share one slice of them, so that a
// pool of many services takes the memory of one.
type Pool struct {
	Name     string
	Replicas []Replica
}

// Equal reports whether two pools say the same.
func (p Pool) Equal(q Pool) bool {
	return p.Name == q.Name && slices.EqualFunc(p.Replicas, q.Replicas, Replica.Equal)
}

// Equal reports whether two replicas say the same.
func (r Replica) Equal(s Replica) bool {
	return r.Replica == s.Replica && r.DrainUntil.Equal(s.DrainUntil)
}

// at is a replica of a pool as a service with a port has it.
func (r Replica) at(port uint16) Replica {
	if r.Address.Port() == 0 {
		r.Address = netip.AddrPortFrom(r.Address.Addr(), port)
	}
	return r
}

// at returns the replicas of the pool for a service with a port.
func (p Pool) at(port uint16) []Replica {
	all := make([]Replica, 0, len(p.Replicas))
	for _, r := range p.Replicas {
		all = append(all, r.at(port))
	}
	return all
}

// isOf reports whether a service with a port has the replicas of the pool. It allocates nothing.
func (p Pool) isOf(s Service, port uint16) bool {
	if len(s.Replicas) != len(p.Replicas) {
		return false
	}
	for n, r := range p.Replicas {
		if is := (Replica{s.Replicas[n], s.Deadlines[s.Replicas[n].Address]}); !r.at(port).Equal(is) {
			return false
		}
	}
	return true
}

// Pool returns the pool of a name. The error wraps lb.ErrNotFound.
func (i Intent) Pool(name string) (Pool, error) {
	n := i.poolAt(name)
	if n < 0 {
		return Pool{}, fmt.Errorf("pool %q: %w", name, lb.ErrNotFound)
	}
	return i.Pools[n], nil
}

func (i Intent) poolAt(name string) int {
	return slices.IndexFunc(i.Pools, func(p Pool) bool { return p.Name == name })
}

// UsersOf returns the names of the services that use each pool, in order.
func (i Intent) UsersOf() map[string][]string {
	users := map[string][]string{}
	for _, s := range i.Services {
		if s.Pool != "" {
			users[s.Pool] = append(users[s.Pool], s.Name)
		}
	}
	return users
}

// WithPool returns the intent with a pool in the place of the one with its name, or at the end, and where it is. What uses it
// follows by Linked.
func (i Intent) WithPool(p Pool) (_ Intent, at int) {
	i.Pools = slices.Clone(i.Pools)
	if at = i.poolAt(p.Name); at >= 0 {
		i.Pools[at] = p
		return i, at
	}
	i.Pools = append(i.Pools, p)
	return i, len(i.Pools) - 1
}

// WithoutPool returns the intent without a pool that no service uses. Errors: lb.ErrNotFound; *UsedError.
func (i Intent) WithoutPool(name string) (Intent, error) {
	if _, err := i.Pool(name); err != nil {
		return i, err
	}
	if by := i.UsersOf()[name]; len(by) > 0 {
		return i, &UsedError{Pool: name, By: by}
	}
	n := i.poolAt(name)
	i.Pools = slices.Delete(slices.Clone(i.Pools), n, n+1)
	return i, nil
}

// UsedError refuses to remove a pool that services use. It wraps lb.ErrConflict.
type UsedError struct {
	Pool string
	By   []string
}

// mostNamed is how many services an error names.
const mostNamed = 20

// Error names the services.
func (e *UsedError) Error() string {
	names := strings.Join(e.By[:min(len(e.By), mostNamed)], ", ")
	if more := len(e.By) - mostNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("pool %s: %v: used by %s", e.Pool, lb.ErrConflict, names)
}

// Hint says what to do.
func (e *UsedError) Hint() string { return "give these services other replicas, or remove them, first" }

// Unwrap makes it lb.ErrConflict.
func (e *UsedError) Unwrap() error { return lb.ErrConflict }

// PoolError refuses to change a replica of one service that has it by a pool. It wraps lb.ErrConflict.
type PoolError struct{ Service, Pool string }

// Error names the service and the pool.
func (e *PoolError) Error() string {
	return fmt.Sprintf("the replicas of service %s: %v: they are those of pool %s", e.Service, lb.ErrConflict, e.Pool)
}

// Hint says what to do.
func (e *PoolError) Hint() string {
	return fmt.Sprintf("change the pool, for all services that use it (lbctl edit, or PUT /v1/pools/%s), or set the replica of this service by hand (lbctl drain, down, weight)", e.Pool)
}

// Unwrap makes it lb.ErrConflict.
func (e *PoolError) Unwrap() error { return lb.ErrConflict }

// link is a pool as services with one port see it.
type link struct {
	pool string
	port uint16
}

// Linked returns the intent with the replicas of pools in the services that use them. Every change goes through it, so it
// allocates only what has changed. The error is an *Error with fields "services[0].pool".
func (i Intent) Linked() (Intent, error) {
	pools, names := map[string]Pool{}, []string{}
	for _, p := range i.Pools {
		pools[p.Name], names = p, append(names, p.Name)
	}
	var ps Problems
	services, done := []*Service(nil), map[link]*Service{}
	for n, s := range i.Services {
		if s.Pool == "" {
			continue
		}
		p, there := pools[s.Pool]
		if !there {
			ps.Add(fmt.Sprintf("services[%d].pool", n), wantPool(names), "%q: there is no such pool", s.Pool)
			continue
		}
		at := link{s.Pool, p.portOf(*s)}
		first, is := done[at]
		if !is {
			first = s
			if !p.isOf(*s, at.port) {
				linked := s.WithReplicas(p.at(at.port))
				first = &linked
			}
			done[at] = first
		}
		if s.shares(*first) {
			continue
		}
		if services == nil {
			services = slices.Clone(i.Services)
		}
		linked := s.sharing(*first)
		services[n] = &linked
	}
	if services != nil {
		i.Services = services
	}
	return i, ps.Err()
}

// portOf is the port that the pool's replicas take from a service; 0 where all have their own, and services of all ports share them.
func (p Pool) portOf(s Service) uint16 {
	if slices.ContainsFunc(p.Replicas, func(r Replica) bool { return r.Address.Port() == 0 }) {
		return s.VIP.Address.Port()
	}
	return 0
}

// shares reports whether the replicas of two services are one slice.
func (s Service) shares(t Service) bool {
	return len(s.Replicas) == len(t.Replicas) && (len(s.Replicas) == 0 || &s.Replicas[0] == &t.Replicas[0])
}

// sharing returns the service with the replicas of another one. The table size of modulo follows their number.
func (s Service) sharing(t Service) Service {
	s.Replicas, s.Deadlines = t.Replicas, t.Deadlines
	if s.Scheduler == lb.Modulo {
		s.TableSize = s.Active()
	}
	return s
}

func wantPool(names []string) string {
	if len(names) == 0 {
		return "declare it: pools: [{name: backends, replicas: [{address: 10.1.0.1:8080}]}], or write replicas here"
	}
	return "want one of " + strings.Join(names[:min(len(names), mostNamed)], ", ")
}

// SameDeclared reports whether two services are declared alike: those that use a pool by its name, whatever replicas it has.
func (s *Service) SameDeclared(t *Service) bool { return s == t || s.declared().Equal(t.declared()) }

// declared returns the service without what it has by its pool.
func (s Service) declared() Service {
	if s.Pool == "" {
		return s
	}
	s.Replicas, s.Deadlines = nil, nil
	if s.Scheduler == lb.Modulo {
		s.TableSize = 0
	}
	return s
}
