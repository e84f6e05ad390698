package datapath

import (
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// view is the live tables as the reference datapath reads them, for one packet.
type view struct {
	*Datapath
	network netstate
}

var _ oracle.View = view{}

// Key implements oracle.View, as do the others here.
func (v view) Key() rss.Key { return v.options.ToeplitzKey }

func (v view) Service(vip lb.VIP) (*lb.Service, bool) {
	e, ok := v.services[vip]
	if !ok {
		return nil, false
	}
	return &e.service, true
}

func (v view) IsVIP(a netip.Addr) bool {
	_, ok := v.addresses[a]
	return ok
}

func (v view) ReverseNAT(replica netip.AddrPort, p packet.Protocol) (lb.VIP, bool) {
	return v.index.Owner(replica, p)
}

func (v view) Slot(vip lb.VIP, i uint32) oracle.Slot {
	s := v.tables.readSlot(v.services[vip].row.Offset + i)
	return oracle.Slot{Owner: v.tables.addressOf(s.Owner()), Previous: v.tables.addressOf(s.Previous()), InTransition: s.InTransition()}
}

func (v view) PreviousTable(vip lb.VIP) (oracle.Function, bool) {
	e := v.services[vip]
	if !e.rehashed() {
		return oracle.Function{}, false
	}
	return oracle.Function{Hash: lb.Hash(e.row.PreviousHash), Seed: e.row.PreviousSeed, Size: e.row.PreviousSize}, true
}

func (v view) PreviousOwner(vip lb.VIP, i uint32) netip.AddrPort {
	return v.tables.addressOf(v.tables.readSlot(v.services[vip].row.PreviousOffset + i).Previous())
}

func (v view) Record(vip lb.VIP, f packet.Flow) (oracle.Record, bool) {
	e := v.services[vip]
	hash := oracle.Hash(lb.Service{Hash: lb.Hash(e.row.PreviousHash), Seed: e.row.PreviousSeed}, v.options.ToeplitzKey, f)
	r, stage := v.tables.recall(bpf.FlowKey(v.secret, f.Source, f.Destination, uint8(f.Protocol)), hash)
	if r == 0 || v.serviceOfReplica(r.Replica()) != e {
		return oracle.Record{}, false
	}
	return oracle.Record{Stage: stage, Replica: v.tables.addressOf(r.Replica())}, true
}

func (v view) State(vip lb.VIP, replica netip.AddrPort) (lb.ReplicaState, bool) {
	for _, r := range v.services[vip].service.Replicas {
		if r.Address == replica {
			return r.State, true
		}
	}
	return 0, false
}

func (v view) Fragment(k oracle.FragmentKey) (oracle.FragmentPorts, bool) {
	f, ok := recallFragment(v.objects.Fragments, k)
	if !ok {
		return oracle.FragmentPorts{}, false
	}
	source, destination := bpf.FragmentPorts(f)
	return oracle.FragmentPorts{Protocol: packet.Protocol(f.Protocol), Source: source, Destination: destination}, true
}

func (v view) RouteToReplica(vip lb.VIP, replica netip.AddrPort) (oracle.Route, bool) {
	return v.route(hopInUse(&v.tables.replicas.rows[v.services[vip].ids[replica]]))
}

func (v view) RouteToClient(_, destination netip.Addr) (oracle.Route, bool) {
	next, _ := v.network.resolve(destination)
	return v.route(next)
}

func (v view) route(next nextHop) (oracle.Route, bool) {
	h := next.hop
	if h.State == uint8(bpf.LbHopStateHOP_NONE) {
		return oracle.Route{}, false
	}
	r := oracle.Route{Index: int(h.Ifindex), MTU: int(h.Mtu), Source: h.Source, Preferred: netip.AddrFrom16(next.source).Unmap()}
	if device := v.network.link(r.Index); device != nil {
		r.Interface = device.Name
	}
	if h.State == uint8(bpf.LbHopStateHOP_RESOLVED) {
		r.Neighbour = h.Destination
	}
	return r, true
}
