package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// writeReplicas writes the rows and reverse NAT entries of the replicas that are new.
func (d *Datapath) writeReplicas(e, old *entry) error {
	network := d.network()
	for _, r := range e.service.Replicas {
		id := e.ids[r.Address]
		if _, ok := old.replicaID(r.Address); !ok {
			next, via := network.resolve(r.Address.Addr())
			d.tables.replicas.rows[id], d.via[id] = replicaRow(e.service.VIP, e.row.Id, r, next), via
		}
		if !e.answered(r.Address) || old.answered(r.Address) {
			continue
		}
		if err := d.writeRevNat(id, e.service.VIP, r.Address); err != nil {
			return err
		}
	}
	return nil
}

func (d *Datapath) writeRevNat(id uint32, v lb.VIP, a netip.AddrPort) error {
	l3, l4 := bpf.Deltas(a, v.Address)
	k := replicaKey(v, a)
	d.tables.revNats.rows[id] = bpf.LbRevNat{
		Replica: k, L3Delta: l3, L4Delta: l4,
		Address: bpf.Address(v.Address.Addr()), Port: bpf.Port(v.Address.Port()),
	}
	if err := d.tables.revNatAt().add(k, id); err != nil {
		return fmt.Errorf("write the reverse NAT entry of %v: %w", a, err)
	}
	return nil
}

// writeStates gives all replicas of a service their states.
func (d *Datapath) writeStates(e *entry) {
	for _, r := range e.service.Replicas {
		row, state := &d.tables.replicas.rows[e.ids[r.Address]], replicaState(r.State)
		if row.State != uint8(state) {
			setState(row, state)
		}
	}
}

// claim notes that the service has its replicas' ids.
func (d *Datapath) claim(e *entry) {
	for _, id := range e.ids {
		for int(id) >= len(d.byReplica) {
			d.byReplica = append(d.byReplica, nil)
		}
		d.byReplica[id] = e
	}
}

// serviceOfReplica returns the service of a replica by its id, nil if there is none.
func (d *Datapath) serviceOfReplica(id uint32) *entry {
	if int(id) >= len(d.byReplica) {
		return nil
	}
	return d.byReplica[id]
}
