package model

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// way is where a packet of a flow goes, as far as it was decided.
type way struct {
	reason  lb.Reason
	service *service
	hash    uint32
	slot    uint32
	replica netip.AddrPort
	// rewritten is the flow with its new end, once there is one.
	rewritten packet.Flow
	route     Route
	// mtu is what of the route's MTU is left for the packet.
	mtu int
}

// service is a service and its slots.
type service struct {
	lb.Service
	// ring holds the index of the replica of every slot.
	ring []uint32
}

// wayOf decides about a packet from what was parsed. ingress plays no part.
func (t *tables) wayOf(p parsed) way {
	if s, found := t.services[lb.VIP{Address: p.flow.Destination, Protocol: p.flow.Protocol}]; found {
		return t.toReplica(s, p)
	}
	if vip, found := t.owners[lb.VIP{Address: p.flow.Source, Protocol: p.flow.Protocol}]; found {
		return t.toClient(vip, p)
	}
	return way{reason: lb.NotOurs}
}

func (t *tables) toReplica(s *service, p parsed) way {
	w := way{service: s}
	f, sent := p.flow, lb.Forwarded
	if p.quote != nil {
		sent = lb.ErrorForwarded
	}
	switch {
	case p.ttl <= 1 && s.Mode != lb.DSR:
		w.reason = lb.TTLExpired
		return w
	case len(s.Replicas) == 0:
		w.reason = lb.NoReplica
		return w
	}
	w.hash = Hash(s.Service, t.key, f)
	w.slot = w.hash % s.TableSize
	w.replica = s.Replicas[s.ring[w.slot]].Address
	w.rewritten = f
	if s.Mode == lb.NAT {
		w.rewritten.Destination = w.replica
	}
	if p.quote == nil && f.Source.Addr() == w.replica.Addr() {
		w.reason = lb.Hairpin
		return w
	}
	overhead := 0
	if s.Mode == lb.IPIP {
		overhead = 40
		if w.replica.Addr().Is4() {
			overhead = 20
		}
	}
	w.leave(t.routes, w.replica.Addr(), p.ipBytes, overhead, sent)
	if w.reason == lb.NeighbourMissing && s.Mode != lb.NAT {
		w.reason = lb.NeighbourPending
	}
	return w
}

// toClient sends the answer of a replica, or an error about one of its flows.
func (t *tables) toClient(vip lb.VIP, p parsed) way {
	if p.ttl <= 1 {
		return way{reason: lb.TTLExpired}
	}
	w := way{rewritten: packet.Flow{Source: vip.Address, Destination: p.flow.Destination, Protocol: p.flow.Protocol}}
	sent := lb.Returned
	if p.quote != nil {
		sent = lb.ErrorReturned
	}
	w.leave(t.routes, p.flow.Destination.Addr(), p.ipBytes, 0, sent)
	return w
}

// leave looks for the way out; the reason is sent if there is one.
func (w *way) leave(routes Routes, next netip.Addr, ipBytes, overhead int, sent lb.Reason) {
	route, found := routes.Route(next)
	w.route, w.mtu = route, route.MTU-overhead
	switch {
	case !found:
		w.reason = lb.NoRoute
	case ipBytes > w.mtu:
		w.reason = lb.TooBig
	case !route.resolved():
		w.reason = lb.NeighbourMissing
	default:
		w.reason = sent
	}
}
