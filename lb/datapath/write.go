package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/ring"
)

// writeReplicas writes the replicas that are new, and the way back from them.
func (d *Datapath) writeReplicas(e, old *entry) error {
	network := d.hops.look()
	for _, r := range e.service.Replicas {
		if _, ok := old.heir(e.service.Mode).replicaID(r.Address); ok {
			continue
		}
		id := e.ids[r.Address]
		if err := zero(d.objects.ByReplica, id); err != nil {
			return err
		}
		d.tables.replicas.rows[id], d.via[id] = replicaRow(network, e.service, r.Address)
		if e.service.Mode != lb.NAT {
			continue
		}
		if err := d.writeOrigin(id, e.service.VIP, r.Address); err != nil {
			return err
		}
	}
	return nil
}

func replicaRow(network look, s lb.Service, a netip.AddrPort) (bpf.LbReplica, neighbour) {
	row := bpf.LbReplica{
		Address: bpf.Address(a.Addr()), Port: bpf.Port(a.Port()), State: uint8(bpf.LbReplicaStateREPLICA_ACTIVE), IpVersion: ipVersion(a.Addr()),
	}
	if s.Mode == lb.NAT {
		row.L3Delta, row.L4Delta = bpf.Deltas(s.VIP.Address, a)
	}
	way := network.resolve(a.Addr())
	row.Hops[0], row.TunnelSource[0] = way.hop, way.source
	return row, way.by
}

func ipVersion(a netip.Addr) uint8 {
	if a.Is4() {
		return 4
	}
	return 6
}

func (d *Datapath) writeOrigin(id uint32, v lb.VIP, a netip.AddrPort) error {
	l3, l4 := bpf.Deltas(a, v.Address)
	k := replicaKey(v, a)
	d.tables.origins.rows[id] = bpf.LbOrigin{
		Replica: k, L3Delta: l3, L4Delta: l4,
		Address: bpf.Address(v.Address.Addr()), Port: bpf.Port(v.Address.Port()),
	}
	if err := d.tables.originAt().add(k, id); err != nil {
		return fmt.Errorf("write the way back from %v: %w", a, err)
	}
	d.owners[k] = v
	return nil
}

// writeSlots fills the table and the list of replicas.
func (d *Datapath) writeSlots(e *entry) {
	list, rows := d.tables.slots.rows[e.row.List:], d.tables.slots.rows[e.row.Offset:]
	ids := make([]uint32, len(e.service.Replicas))
	for i, r := range e.service.Replicas {
		ids[i] = e.ids[r.Address]
		list[i] = bpf.LbSlot{Current: ids[i], Base: uint32(r.Weight)}
	}
	for i, replica := range ring.Build(e.service) {
		rows[i] = bpf.LbSlot{Current: ids[replica], Base: ids[replica]}
	}
}
