package reconcile

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/scheduler"
)

// Effect is what a step does to the flows of a service that is there already.
type Effect struct {
	// Differences are the fields that change.
	Differences []Difference
	// Moved of Parts are the hash values whose owner changes: see Moved.
	Moved, Parts uint64
	// Ended counts the recorded flows of replicas that are removed or set down.
	Ended uint64
	// AtLeast is true when more than those may end: flows of a replica that is active, or from
	// before a change, are not all recorded.
	AtLeast bool
}

// Effects returns the effect of every step, in order, on a datapath that forwards current and
// records flows: nil for steps about interfaces and services that are new.
func Effects(current State, steps []Step, flows map[lb.VIP]lb.Flows) []*Effect {
	now := byVIP(current.Services, func(int) bool { return false })
	effects := make([]*Effect, len(steps))
	for n, s := range steps {
		old, exists := now[s.Service.VIP]
		switch s.Verb {
		case Set:
			now[s.Service.VIP] = &steps[n].Service
		case Remove:
			delete(now, s.Service.VIP)
		default:
			continue
		}
		if exists {
			effects[n] = effectOf(*old, s, flows[old.VIP])
		}
	}
	return effects
}

func effectOf(old lb.Service, s Step, flows lb.Flows) *Effect {
	e := &Effect{}
	if s.Verb == Set {
		e.Differences = Differences(old, s.Service)
	}
	e.Moved, e.Parts = Moved(old, s.Service)
	e.end(old, s.Service, flows)
	return e
}

// end counts the flows of replicas of old that next removes or sets down.
func (e *Effect) end(old, next lb.Service, flows lb.Flows) {
	states := states(next)
	for _, r := range old.Replicas {
		state, listed := states[r.Address]
		if r.State == lb.Down || listed && state != lb.Down {
			continue
		}
		f := flows.Replicas[r.Address]
		e.Ended += f.Established + f.HalfOpen
		everyFlow := old.Tracking == lb.TrackAlways || r.State == lb.Draining && f.OldFlowSlots == 0
		e.AtLeast = e.AtLeast || !everyFlow
	}
}

func states(s lb.Service) map[netip.AddrPort]lb.ReplicaState {
	m := make(map[netip.AddrPort]lb.ReplicaState, len(s.Replicas))
	for _, r := range s.Replicas {
		m[r.Address] = r.State
	}
	return m
}

// Difference is one field of a service before and after; a side is empty where there is no
// such thing.
type Difference struct{ Field, Before, After string }

// Differences returns the fields in which two services with one VIP differ, the replicas last:
// those of next in their order, then those that go.
func Differences(old, next lb.Service) []Difference {
	ds := differences{}
	ds.compare("scheduler", old.Scheduler, next.Scheduler)
	ds.compare("end_port", old.EndPort, next.EndPort)
	ds.compare("mode", old.Mode, next.Mode)
	ds.compare("encapsulation", old.Encapsulation, next.Encapsulation)
	ds.compare("tunnel_port", old.TunnelPort, next.TunnelPort)
	ds.compare("tunnel_sources", old.SourcesText(), next.SourcesText())
	ds.compare("hash", old.Hash, next.Hash)
	ds.compare("seed", old.Seed, next.Seed)
	ds.compare("table_size", old.TableSize, next.TableSize)
	ds.compare("tracking", old.Tracking, next.Tracking)
	ds.compare("idle", old.Idle, next.Idle)
	ds.sourceRanges(old, next)
	ds.compare("rate_limit.packets_per_second", old.RateLimit.Packets, next.RateLimit.Packets)
	ds.compare("rate_limit.new_flows_per_second", old.RateLimit.NewFlows, next.RateLimit.NewFlows)
	ds.compare("rate_limit.burst", old.RateLimit.Burst, next.RateLimit.Burst)
	ds.replicas(old.Replicas, next.Replicas)
	return ds
}

type differences []Difference

func (ds *differences) compare(field string, old, next any) {
	if old != next {
		*ds = append(*ds, Difference{field, fmt.Sprint(old), fmt.Sprint(next)})
	}
}

// sourceRanges adds the ranges that go, and those that come.
func (ds *differences) sourceRanges(old, next lb.Service) {
	for _, p := range old.SourceRanges {
		if !slices.Contains(next.SourceRanges, p) {
			*ds = append(*ds, Difference{fmt.Sprintf("source_ranges[%v]", p), "listed", ""})
		}
	}
	for _, p := range next.SourceRanges {
		if !slices.Contains(old.SourceRanges, p) {
			*ds = append(*ds, Difference{fmt.Sprintf("source_ranges[%v]", p), "", "listed"})
		}
	}
}

func (ds *differences) replicas(old, next []lb.Replica) {
	had := map[netip.AddrPort]lb.Replica{}
	for _, r := range old {
		had[r.Address] = r
	}
	var kept []netip.AddrPort
	for _, r := range next {
		name := fmt.Sprintf("replicas[%v]", r.Address)
		before, listed := had[r.Address]
		if !listed {
			*ds = append(*ds, Difference{name, "", r.State.String()})
			continue
		}
		kept = append(kept, r.Address)
		ds.compare(name+".weight", before.Weight, r.Weight)
		ds.compare(name+".state", before.State, r.State)
		delete(had, r.Address)
	}
	ds.order(old, kept, had)
	for _, r := range old {
		if _, gone := had[r.Address]; gone {
			*ds = append(*ds, Difference{fmt.Sprintf("replicas[%v]", r.Address), r.State.String(), ""})
		}
	}
}

// order adds a difference if the replicas that stay (kept, in their new order) are in another order than in old.
// Gone are the replicas that do not stay.
func (ds *differences) order(old []lb.Replica, kept []netip.AddrPort, gone map[netip.AddrPort]lb.Replica) {
	n := 0
	for _, r := range old {
		if _, goes := gone[r.Address]; goes {
			continue
		}
		if kept[n] != r.Address {
			*ds = append(*ds, Difference{"replicas", "in order", "in another order"})
			return
		}
		n++
	}
}

// Moved divides the hash values into equal parts and counts those whose owner in next is not the one in old:
// moved/parts is the exact share of new flows that go elsewhere.
//
// With one hash h, tables of m and n slots use h mod m and h mod n. Slot i of one and slot j of the other share
// hash values if and only if i and j agree modulo gcd(m, n), and then they share one in lcm(m, n). So parts are
// lcm(m, n): the number of slots, if that stays. Two different hashes are independent: any two slots share values, and
// parts are m*n.
func Moved(old, next lb.Service) (moved, parts uint64) {
	before, after := owners(old), owners(next)
	m, n := uint64(len(before)), uint64(len(after))
	classes := gcd(m, n)
	if !sameHash(old, next) {
		classes = 1
	}
	type place struct {
		class uint64
		owner netip.AddrPort
	}
	// Count the slots of the old table by class and owner, then match those of the new one.
	had := make(map[place]uint64, len(before))
	for i, owner := range before {
		had[place{uint64(i) % classes, owner}]++
	}
	var kept uint64
	for j, owner := range after {
		kept += had[place{uint64(j) % classes, owner}]
	}
	parts = m * n / classes
	return parts - kept, parts
}

// owners returns the owner of every slot. A service without a table has one slot without an owner.
func owners(s lb.Service) []netip.AddrPort {
	table := []netip.AddrPort{}
	if s.Active() > 0 {
		for _, i := range scheduler.Build(s) {
			table = append(table, s.Replicas[i].Address)
		}
	}
	if len(table) == 0 {
		return make([]netip.AddrPort, 1)
	}
	return table
}

// sameHash tells whether two services hash a flow alike.
func sameHash(a, b lb.Service) bool {
	return a.Hash == b.Hash && (a.Seed == b.Seed || a.Hash != lb.JHash)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
