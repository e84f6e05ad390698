package oracle

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// FlowsOf implements lb.Dataplane.
func (m *Datapath) FlowsOf(v lb.VIP, client netip.Addr) ([]lb.RecordedFlow, error) {
	done, err := m.begin("list flows")
	if err != nil {
		return nil, err
	}
	defer done()
	of, found := m.tables.Service(v)
	if !found {
		return nil, fmt.Errorf("list flows of service %v: %w", v, lb.ErrNotFound)
	}
	var all []lb.RecordedFlow
	for f, r := range m.tables.services[of.VIP].records {
		if f.Source.Addr() == client && f.Destination == v.Address {
			all = append(all, r.listed(f.Source))
		}
	}
	slices.SortFunc(all, func(a, b lb.RecordedFlow) int { return cmp.Compare(a.Client.Port(), b.Client.Port()) })
	return all, nil
}

func (r Record) listed(client netip.AddrPort) lb.RecordedFlow {
	return lb.RecordedFlow{
		Client: client, Replica: r.Replica, Stage: r.Stage, Age: int(r.Age),
		ClosedByClient: r.Closed&ByClient != 0, ClosedByReplica: r.Closed&ByReplica != 0,
	}
}

// ListFlows returns the records of a client's address to a port of a service, by port of the client, as a view has them.
func ListFlows(of View, v lb.VIP, client netip.Addr, to uint16) (all []lb.RecordedFlow) {
	for port := 1; port < 1<<16; port++ {
		f := packet.Flow{Source: netip.AddrPortFrom(client, uint16(port)), Destination: netip.AddrPortFrom(v.Address.Addr(), to), Protocol: v.Protocol}
		if r, found := of.Record(v, f); found {
			all = append(all, r.listed(f.Source))
		}
	}
	return all
}

// NextHops implements lb.Dataplane.
func (m *Datapath) NextHops(of []lb.Service) ([][]lb.ReplicaHop, error) {
	done, err := m.begin("list next hops")
	if err != nil {
		return nil, err
	}
	defer done()
	return each(of, func(v lb.VIP, replica netip.AddrPort) (hop lb.ReplicaHop) {
		s, found := m.tables.services[v]
		if found && slices.ContainsFunc(s.Replicas, func(r lb.Replica) bool { return r.Address == replica }) {
			hop = m.tables.hopTo(replica.Addr())
		}
		return hop
	}), nil
}

// hopTo returns the next hop towards a replica. Its neighbour is the replica itself.
func (t *tables) hopTo(replica netip.Addr) lb.ReplicaHop {
	route, found := t.routes.Route(replica)
	if !found {
		return lb.ReplicaHop{}
	}
	hop := lb.ReplicaHop{
		NextHop:   lb.NextHop{Interface: route.Interface, Index: route.Index, Source: route.Source, Destination: route.Neighbour},
		Neighbour: replica, State: lb.NeighbourIncomplete, MTU: route.MTU,
	}
	if route.resolved() {
		hop.State = lb.NeighbourReachable
	}
	return hop
}
