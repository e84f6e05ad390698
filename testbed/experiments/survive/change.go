package survive

import (
	"math/rand/v2"
	"slices"

	"lbctl/lb"
)

// kind is a kind of change of a service.
type kind string

const (
	add     kind = "add"
	remove  kind = "remove without drain"
	drain   kind = "drain"
	expire  kind = "drain with deadline"
	finish  kind = "remove drained"
	restore kind = "end drain"
	weigh   kind = "weight"
	lower   kind = "down"
	raise   kind = "up"
	resize  kind = "table size"
	reseed  kind = "hash seed"
)

// harmless are the kinds that must leave every connection answered, whatever clients do meanwhile.
func harmless() []kind { return []kind{add, drain, finish, restore, weigh, resize, reseed} }

// every kind.
func every() []kind { return append(harmless(), remove, expire, lower, raise) }

// primes are sizes of Maglev tables.
func primes() []uint32 { return []uint32{4099, 2003, 8191, 1009, lb.DefaultMaglevSize} }

// change is what is to be done to a service.
type change struct {
	kind kind
	// replica is the number of the one that it is about, -1 for none.
	replica int
	after   lb.Service
}

// planner plans changes. Kinds come up about equally often with each service.
type planner struct {
	random *rand.Rand
	// pool is the number of replicas that there are.
	pool int
	used map[use]int
}

// use is a kind of change of a service.
type use struct {
	service string
	kind    kind
}

// plan chooses a change of a service out of some kinds: of those that can be done now one that was done least
// often. It must not bring back the replicas in gone. ok is false if none can be done.
func (p *planner) plan(s *service, of []kind, gone []int) (chosen change, ok bool) {
	best := 0
	for _, i := range p.random.Perm(len(of)) {
		k := of[i]
		used := p.used[use{s.name, k}]
		if ok && used >= best {
			continue
		}
		d := &draft{planner: p, service: s, gone: gone, after: s.Clone()}
		if replica, can := d.make(k); can {
			chosen, best, ok = change{kind: k, replica: replica, after: d.done()}, used, true
		}
	}
	if ok {
		p.used[use{s.name, chosen.kind}]++
	}
	return chosen, ok
}

// draft is a change that is being made.
type draft struct {
	*planner
	service *service
	gone    []int
	after   lb.Service
}

// make makes a change of a kind and returns the replica that it is about, -1 for none.
func (d *draft) make(k kind) (replica int, ok bool) {
	switch k {
	case add:
		return d.add()
	case remove, finish:
		return d.remove(k)
	case drain, expire, restore, lower, raise:
		return d.setState(k)
	case weigh:
		return d.weigh()
	}
	return -1, d.rehash(k)
}

// done returns the service as it will be.
func (d *draft) done() lb.Service {
	if d.after.Scheduler == lb.Modulo {
		d.after.TableSize = 0
	}
	return d.after.WithDefaults()
}

// in returns the indexes of the replicas in a state.
func (d *draft) in(state lb.ReplicaState) (all []int) {
	for i, r := range d.after.Replicas {
		if r.State == state {
			all = append(all, i)
		}
	}
	return all
}

// pick returns one of several at random.
func (d *draft) pick(all []int) (int, bool) {
	if len(all) == 0 {
		return -1, false
	}
	return all[d.random.IntN(len(all))], true
}

func (d *draft) add() (int, bool) {
	var spare []int
	for i := range d.pool {
		if _, listed := d.service.state(i); !listed && !slices.Contains(d.gone, i) {
			spare = append(spare, i)
		}
	}
	i, ok := d.pick(spare)
	if ok {
		d.after.Replicas = append(d.after.Replicas, lb.Replica{Address: d.service.replica(i), Weight: 1})
	}
	return i, ok
}

// remove removes an active replica, or one that was drained.
func (d *draft) remove(k kind) (int, bool) {
	candidates := d.in(lb.Draining)
	if k == remove {
		candidates = d.spare()
	}
	at, ok := d.pick(candidates)
	if !ok {
		return -1, false
	}
	gone := d.service.index(d.after.Replicas[at].Address)
	d.after.Replicas = slices.Delete(d.after.Replicas, at, at+1)
	return gone, true
}

// spare returns the indexes of the active replicas if one of them can be done without.
func (d *draft) spare() []int {
	if active := d.in(lb.Active); len(active) > fewest {
		return active
	}
	return nil
}

// setState changes the state of a replica.
func (d *draft) setState(k kind) (int, bool) {
	candidates, to := d.spare(), lb.Draining
	switch k {
	case lower:
		to = lb.Down
	case restore:
		candidates, to = d.in(lb.Draining), lb.Active
	case raise:
		candidates, to = d.in(lb.Down), lb.Active
	}
	at, ok := d.pick(candidates)
	if !ok {
		return -1, false
	}
	d.after.Replicas[at].State = to
	return d.service.index(d.after.Replicas[at].Address), true
}

// weigh gives a replica another weight, 1 to 5.
func (d *draft) weigh() (int, bool) {
	at, ok := d.pick(d.in(lb.Active))
	if !ok || d.after.Scheduler != lb.Maglev {
		return -1, false
	}
	r := &d.after.Replicas[at]
	r.Weight = (r.Weight+uint16(d.random.IntN(4)))%5 + 1
	return d.service.index(r.Address), true
}

// rehash gives the table another size, or the hash another seed.
func (d *draft) rehash(k kind) bool {
	if k == reseed {
		d.after.Seed += 1 + uint32(d.random.IntN(1<<16))
		return true
	}
	if d.after.Scheduler != lb.Maglev {
		return false
	}
	sizes := slices.DeleteFunc(primes(), func(n uint32) bool { return n == d.after.TableSize })
	d.after.TableSize = sizes[d.random.IntN(len(sizes))]
	return true
}
