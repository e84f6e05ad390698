package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/model"
	"lbctl/rss/packet"
)

// Explain follows the tables as the program does, for a packet with a TTL of 64
// and no payload. Errors: lb.ErrInvalid when the flow is none.
func (d *Datapath) Explain(p lb.Probe) (lb.Explanation, error) {
	f := p.Flow
	if !f.Source.IsValid() || !f.Destination.IsValid() || f.Source.Addr().Is4() != f.Destination.Addr().Is4() {
		return lb.Explanation{}, fmt.Errorf("%w flow %v: want two addresses of one family, with ports", lb.ErrInvalid, f)
	}
	if f.Protocol != packet.TCP && f.Protocol != packet.UDP {
		return lb.Explanation{Reason: lb.NotTCPUDP}, nil
	}
	unlock, err := d.lock()
	if err != nil {
		return lb.Explanation{}, err
	}
	defer unlock()
	if e := d.services[lb.VIP{Address: f.Destination, Protocol: f.Protocol}]; e != nil {
		return d.explainForward(e, f), nil
	}
	if v, ok := d.owners[bpf.Endpoint(f.Source, uint8(f.Protocol))]; ok {
		return d.explainReturn(v, f), nil
	}
	return lb.Explanation{Reason: lb.NotOurs}, nil
}

// explainForward reads the rows that the program would read.
func (d *Datapath) explainForward(e *entry, f packet.Flow) lb.Explanation {
	s := e.service.Clone()
	x := lb.Explanation{Service: &s, Hash: model.Hash(s, d.options.ToeplitzKey, f)}
	if e.row.Size == 0 {
		x.Reason = lb.NoReplica
		return x
	}
	x.Slot = x.Hash % e.row.Size
	slot := d.tables.slots.rows[e.row.Offset+x.Slot]
	x.Current, x.Base = d.addressOf(slot.Current), d.addressOf(slot.Base)
	x.Replica = x.Current
	x.Rewritten = f
	if s.Mode == lb.NAT {
		x.Rewritten.Destination = x.Replica
	}
	if f.Source.Addr() == x.Replica.Addr() {
		x.Reason = lb.Hairpin
		return x
	}
	row := d.tables.replicas.rows[slot.Current]
	x.Reason, x.NextHop = d.explainHop(row.Hops[row.Which&1], lb.Forwarded)
	if x.Reason == lb.NeighbourMissing && s.Mode != lb.NAT {
		x.Reason = lb.NeighbourPending
	}
	return x
}

func (d *Datapath) explainReturn(v lb.VIP, f packet.Flow) lb.Explanation {
	x := lb.Explanation{Rewritten: packet.Flow{Source: v.Address, Destination: f.Destination, Protocol: f.Protocol}}
	hop := d.hops.look().resolve(f.Destination.Addr()).hop
	x.Reason, x.NextHop = d.explainHop(hop, lb.Returned)
	return x
}

// explainHop names what becomes of a packet that goes by a hop, and shows the hop.
func (d *Datapath) explainHop(h bpf.LbHop, sent lb.Reason) (lb.Reason, lb.NextHop) {
	if h.State == uint8(bpf.LbHopStateHOP_NONE) {
		return lb.NoRoute, lb.NextHop{}
	}
	n := lb.NextHop{Index: int(h.Ifindex), Source: h.Source, Destination: h.Destination}
	if device, err := d.hops.netlink.LinkByIndex(n.Index); err == nil {
		n.Interface = device.Attrs().Name
	}
	if h.State != uint8(bpf.LbHopStateHOP_RESOLVED) {
		return lb.NeighbourMissing, n
	}
	return sent, n
}

func (d *Datapath) addressOf(id uint32) netip.AddrPort {
	r := d.tables.replicas.rows[id]
	return bpf.AddrPort(r.Address, r.Port)
}
