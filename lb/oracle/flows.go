package oracle

import (
	"net/netip"

	"lbctl/lb"
)

// Flows implements lb.Dataplane.
func (m *Datapath) Flows() (map[lb.VIP]lb.Flows, error) {
	done, err := m.begin("list flows")
	if err != nil {
		return nil, err
	}
	defer done()
	all := make(map[lb.VIP]lb.Flows, len(m.tables.services))
	for v, s := range m.tables.services {
		all[v] = s.flows()
	}
	return all, nil
}

// flows sums up what is remembered.
func (s *service) flows() lb.Flows {
	sums := make(map[netip.AddrPort]lb.ReplicaFlows, len(s.Replicas))
	for _, r := range s.Replicas {
		sums[r.Address] = lb.ReplicaFlows{}
	}
	for _, r := range s.records {
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
