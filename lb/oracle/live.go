package oracle

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/packet"
)

var _ View = (*tables)(nil)

// Key implements View, as do the others here.
func (t *tables) Key() rss.Key { return t.key }

func (t *tables) Service(v lb.VIP) (*lb.Service, bool) {
	s, found := t.services[v]
	if !found {
		return nil, false
	}
	return &s.Service, true
}

func (t *tables) IsVIP(a netip.Addr) bool { return t.index.HasVIP(a) }

func (t *tables) ReverseNAT(replica netip.AddrPort, p packet.Protocol) (lb.VIP, bool) {
	return t.index.Owner(replica, p)
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
	return r.Record, found
}

func (t *tables) State(v lb.VIP, replica netip.AddrPort) (lb.ReplicaState, bool) {
	state, listed := t.services[v].states[replica]
	return state, listed
}

func (t *tables) Fragment(k FragmentKey) (FragmentPorts, bool) {
	p, found := t.fragments[k]
	return p, found
}

func (t *tables) RouteToReplica(_ lb.VIP, replica netip.AddrPort) (Route, bool) {
	return t.routes.Route(replica.Addr())
}

func (t *tables) RouteToClient(_, destination netip.Addr) (Route, bool) {
	return t.routes.Route(destination)
}
