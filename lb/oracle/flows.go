package oracle

import (
	"net/netip"

	"lbctl/lb"
)

// Flows implements lb.Dataplane. A base counts as older as long as its age is below over.
func (m *Memory) Flows() (map[lb.VIP]lb.Flows, error) {
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
	bases := s.bases()
	for _, b := range bases {
		if !b.isOver() {
			n := sums[b.owner]
			n.OldFlowSlots++
			sums[b.owner] = n
		}
	}
	marked := uint32(len(bases))
	if s.moved != nil {
		marked = s.Slots()
	}
	return lb.Flows{InTransition: marked, Replicas: sums}
}

// bases returns the bases of the marked slots, or those of the older table.
func (s *service) bases() (bases []older) {
	if s.moved != nil {
		return s.moved.slots
	}
	for _, i := range s.slots {
		if i.marked {
			bases = append(bases, i.base)
		}
	}
	return bases
}
