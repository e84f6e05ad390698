package oracle

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"lbctl/lb"
	"lbctl/lb/fanout"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// tables are the state of a datapath. All handles on it share them.
type tables struct {
	limits lb.Limits
	key    rss.Key
	// rejects: packets to the address of a VIP that no service takes are answered.
	rejects bool
	routes  Routes
	// links are the interfaces that exist, by name.
	links map[string]int
	// mtus are their greatest IP packets, by index.
	mtus map[int]int
	// unfit are addresses that no replica can have, and why.
	unfit map[netip.Addr]string

	mu       sync.Mutex
	services map[lb.VIP]*service
	// index says what excludes what, and whose a replica's answers are; usage what the limits leave.
	index *lb.Index
	usage lb.Usage
	// fragments are all first fragments ever seen, the last one of each key.
	fragments map[FragmentKey]FragmentPorts
	attached  map[string]lb.Interface
	counters  lb.Counters
	// publishers are those of the handles that are not closed.
	publishers []*fanout.Publisher
	now        func() time.Time
}

// set adds or replaces a service that is valid beside the others. If the same service is there, nothing
// changes.
func (t *tables) set(s lb.Service) {
	n := newService(s)
	if old, found := t.services[s.VIP]; found {
		if old.SameAs(s) {
			return
		}
		n.inherit(old)
		t.index.Remove(old.Service)
		t.usage.Remove(old.Service)
		n.forgetShared(old, t.index)
	}
	t.services[s.VIP] = n
	t.index.Add(n.Service)
	t.usage.Add(n.Service)
	t.recount(s)
}

// remove removes a service that is there.
func (t *tables) remove(v lb.VIP) {
	t.index.Remove(t.services[v].Service)
	t.usage.Remove(t.services[v].Service)
	delete(t.services, v)
	delete(t.counters.Services, v)
	delete(t.counters.Replicas, v)
	delete(t.counters.Flows, v)
}

// admit says whether s may come in addition to the services, or in the place of the one with its VIP. Errors:
// lb.ErrInvalid (lb.Problems), lb.ErrConflict, lb.ErrFull.
func (t *tables) admit(s lb.Service) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if _, err := t.index.Conflict(s); err != nil {
		return err
	}
	if old, found := t.services[s.VIP]; found {
		return t.usage.Room(s, &old.Service, t.limits)
	}
	return t.usage.Room(s, nil, t.limits)
}

// count adds a packet to the counters.
func (t *tables) count(why lb.Explanation, bytes int) {
	add(t.counters.Reasons, why.Reason, bytes)
	if why.Reason != lb.Forwarded {
		return
	}
	vip := why.Service.VIP
	add(t.counters.Services, vip, bytes)
	add(t.counters.Replicas[vip], why.Replica, bytes)
}

func add[K comparable](counts map[K]lb.Count, key K, bytes int) {
	c := counts[key]
	counts[key] = lb.Count{Packets: c.Packets + 1, Bytes: c.Bytes + uint64(bytes)}
}

// recount gives a service and each of its replicas a count: they keep the ones that they had; those of removed
// replicas are dropped.
func (t *tables) recount(s lb.Service) {
	had := t.counters.Replicas[s.VIP]
	has, flows := make(map[netip.AddrPort]lb.Count, len(s.Replicas)), make(map[netip.AddrPort]lb.FlowCount, len(s.Replicas))
	for _, r := range s.Replicas {
		has[r.Address], flows[r.Address] = had[r.Address], t.counters.Flows[s.VIP][r.Address]
	}
	t.counters.Replicas[s.VIP], t.counters.Flows[s.VIP] = has, flows
	if _, counted := t.counters.Services[s.VIP]; !counted {
		t.counters.Services[s.VIP] = lb.Count{}
	}
}

// snapshot returns a copy of the counters.
func (t *tables) snapshot() lb.Counters {
	c := lb.Counters{
		Reasons:  maps.Clone(t.counters.Reasons),
		Services: maps.Clone(t.counters.Services),
		Replicas: make(map[lb.VIP]map[netip.AddrPort]lb.Count, len(t.counters.Replicas)),
		Flows:    make(map[lb.VIP]map[netip.AddrPort]lb.FlowCount, len(t.counters.Flows)),
	}
	for vip, replicas := range t.counters.Replicas {
		c.Replicas[vip], c.Flows[vip] = maps.Clone(replicas), maps.Clone(t.counters.Flows[vip])
	}
	return c
}

var _ View = (*tables)(nil)

// Key implements View, as do the others here.
func (t *tables) Key() rss.Key { return t.key }

// Rejects implements View.
func (t *tables) Rejects() bool { return t.rejects }

func (t *tables) Service(v lb.VIP) (*lb.Service, bool) {
	if s, found := t.services[v]; found {
		return &s.Service, true
	}
	if ranged, found := t.index.InRange(v); found {
		return &t.services[ranged].Service, true
	}
	return nil, false
}

func (t *tables) IsVIP(a netip.Addr) bool { return t.index.HasVIP(a) }

func (t *tables) ReverseNAT(replica netip.AddrPort, p packet.Protocol) (owners []Owner) {
	for _, v := range t.index.Owners(replica, p) {
		owners = append(owners, Owner{VIP: v, ByRecord: t.services[v].knows(replica)})
	}
	return owners
}

func (t *tables) Slot(v lb.VIP, i uint32) Slot {
	s := t.services[v].slots[i]
	if !s.inTransition {
		return Slot{Owner: s.owner, Previous: s.owner}
	}
	return Slot{Owner: s.owner, Previous: s.previous.owner, InTransition: true}
}

func (t *tables) PreviousTable(v lb.VIP) (Function, bool) {
	s := t.services[v]
	if s.previous == nil {
		return Function{}, false
	}
	return s.previous.Function, true
}

func (t *tables) PreviousOwner(v lb.VIP, i uint32) netip.AddrPort {
	return t.services[v].previous.slots[i].owner
}

func (t *tables) Record(v lb.VIP, f packet.Flow) (Record, bool) {
	r, found := t.services[v].records[f]
	return r, found
}

func (t *tables) Displaced(packet.Flow) bool { return false }

func (t *tables) State(v lb.VIP, replica netip.AddrPort) (lb.ReplicaState, bool) {
	state, listed := t.services[v].states[replica]
	return state, listed
}

func (t *tables) Fragment(k FragmentKey) (FragmentPorts, bool) {
	p, found := t.fragments[k]
	return p, found
}

func (t *tables) LinkMTU(index int) int { return t.mtus[index] }

func (t *tables) PathMTU(v lb.VIP, replica netip.AddrPort) int {
	p, told := t.services[v].pathMTUs[replica]
	if !told || t.now().Sub(p.at) > PathMTULife {
		return 0
	}
	return p.mtu
}

func (t *tables) RouteToReplica(_ lb.VIP, replica netip.AddrPort) (Route, bool) {
	return t.routes.Route(replica.Addr())
}

func (t *tables) RouteToClient(_, destination netip.Addr) (Route, bool) {
	return t.routes.Route(destination)
}
