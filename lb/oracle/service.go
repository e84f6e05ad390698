package oracle

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/lb"
	"lbctl/lb/scheduler"
	"lbctl/rss/packet"
)

// service is a service, its slots, and the records of its flows.
type service struct {
	lb.Service
	states map[netip.AddrPort]lb.ReplicaState
	// slots is empty if no replica is active.
	slots []slot
	// previous is the table by which flows from before go, if the service is rehashed.
	previous *previousTable
	records  map[packet.Flow]Record
	// pathMTUs are what routers told of the ways to replicas.
	pathMTUs map[netip.AddrPort]pathMTU
	// unrecorded are the replicas that may have flows without a record, for unrecordedFor.
	unrecorded    map[netip.AddrPort]bool
	unrecordedFor time.Duration
	// packets and begun hold what its rates leave.
	packets, begun bucket
	// elapsed is the time since the ages went up, less than a step.
	elapsed time.Duration
}

// slot is a part of the hash space. Only one in transition has a previous owner.
type slot struct {
	owner        netip.AddrPort
	inTransition bool
	previous     previousOwner
}

// previousOwner has the flows from before a change that are not recorded. Its age counts steps of
// Idle/lb.IdleSteps since one of them was seen, or since the change.
type previousOwner struct {
	owner netip.AddrPort
	age   Age
}

// previousTable is a table of another size or hash than the service's, with the owners from before.
type previousTable struct {
	Function
	slots []previousOwner
}

// pathMTU is the greatest packet on the way to a replica, and when a router told of it.
type pathMTU struct {
	mtu int
	at  time.Time
}

// newService returns a service without records.
func newService(s lb.Service) *service {
	n := &service{
		Service: s.Sorted(),
		states:  make(map[netip.AddrPort]lb.ReplicaState, len(s.Replicas)),
		records: map[packet.Flow]Record{}, pathMTUs: map[netip.AddrPort]pathMTU{}, unrecorded: map[netip.AddrPort]bool{},
	}
	for _, r := range s.Replicas {
		n.states[r.Address] = r.State
	}
	for _, owner := range scheduler.Build(s) {
		n.slots = append(n.slots, slot{owner: s.Replicas[owner].Address})
	}
	return n
}

// lists reports whether a replica is one of the service, in whatever state.
func (s *service) lists(replica netip.AddrPort) bool {
	_, listed := s.states[replica]
	return listed
}

// listed returns the replica, or the zero value if it is not one of the service.
func (s *service) listed(replica netip.AddrPort) netip.AddrPort {
	if s.lists(replica) {
		return replica
	}
	return netip.AddrPort{}
}

// previousAge returns the age of a slot's previous owner, of the previous table if there is one.
func (s *service) previousAge(slot uint32) *Age {
	if s.previous != nil {
		return &s.previous.slots[slot].age
	}
	return &s.slots[slot].previous.age
}

// Flows implements lb.Dataplane.
func (m *Datapath) Flows(of ...lb.VIP) (map[lb.VIP]lb.Flows, error) {
	done, err := m.begin("list flows")
	if err != nil {
		return nil, err
	}
	defer done()
	all := make(map[lb.VIP]lb.Flows, len(m.tables.services))
	if len(of) == 0 {
		of = slices.Collect(maps.Keys(m.tables.services))
	}
	for _, v := range of {
		if s, found := m.tables.services[v]; found {
			all[v] = s.flows()
		}
	}
	return all, nil
}

// InTransition implements lb.Dataplane.
func (m *Datapath) InTransition(v lb.VIP) (uint32, error) {
	all, err := m.Flows(v)
	return all[v].InTransition, err
}

// flows counts records and slots in transition.
func (s *service) flows() lb.Flows {
	sums := make(map[netip.AddrPort]lb.ReplicaFlows, len(s.Replicas))
	for _, r := range s.Replicas {
		sums[r.Address] = lb.ReplicaFlows{}
	}
	for _, r := range s.records {
		if r.Closed == ByBoth && r.Age >= lb.EndedSteps {
			continue
		}
		n := sums[r.Replica]
		if r.Stage == lb.Established {
			n.Established++
		} else {
			n.HalfOpen++
		}
		sums[r.Replica] = n
	}
	previous := s.previousOwners()
	for _, p := range previous {
		if !p.isExpired() {
			n := sums[p.owner]
			n.OldFlowSlots++
			sums[p.owner] = n
		}
	}
	inTransition := uint32(len(previous))
	if s.previous != nil {
		inTransition = s.Slots()
	}
	return lb.Flows{InTransition: inTransition, Replicas: sums}
}

// previousOwners returns those of the slots in transition, or of the previous table.
func (s *service) previousOwners() (owners []previousOwner) {
	if s.previous != nil {
		return s.previous.slots
	}
	for _, i := range s.slots {
		if i.inTransition {
			owners = append(owners, i.previous)
		}
	}
	return owners
}
