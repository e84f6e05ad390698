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
}

// service is a service and its slots.
type service struct {
	lb.Service
	// ring holds the index of the replica of every slot.
	ring []uint32
}

// wayOf decides about a packet from its flow, its TTL and the length of its IP packet. ingress
// plays no part.
func (t *tables) wayOf(f packet.Flow, ttl uint8, ipBytes int) way {
	if s, found := t.services[lb.VIP{Address: f.Destination, Protocol: f.Protocol}]; found {
		return t.toReplica(s, f, ttl, ipBytes)
	}
	if vip, found := t.owners[lb.VIP{Address: f.Source, Protocol: f.Protocol}]; found {
		return t.toClient(vip, f, ttl, ipBytes)
	}
	return way{reason: lb.NotOurs}
}

func (t *tables) toReplica(s *service, f packet.Flow, ttl uint8, ipBytes int) way {
	w := way{service: s}
	switch {
	case ttl <= 1:
		w.reason = lb.TTLExpired
	case len(s.Replicas) == 0:
		w.reason = lb.NoReplica
	default:
		w.hash = Hash(s.Service, t.key, f)
		w.slot = w.hash % s.TableSize
		w.replica = s.Replicas[s.ring[w.slot]].Address
		w.rewritten = packet.Flow{Source: f.Source, Destination: w.replica, Protocol: f.Protocol}
		w.leave(t.routes, w.replica.Addr(), ipBytes, lb.Forwarded)
	}
	return w
}

func (t *tables) toClient(vip lb.VIP, f packet.Flow, ttl uint8, ipBytes int) way {
	if ttl <= 1 {
		return way{reason: lb.TTLExpired}
	}
	w := way{rewritten: packet.Flow{Source: vip.Address, Destination: f.Destination, Protocol: f.Protocol}}
	w.leave(t.routes, f.Destination.Addr(), ipBytes, lb.Returned)
	return w
}

// leave looks for the way out; the reason is sent if there is one.
func (w *way) leave(routes Routes, next netip.Addr, ipBytes int, sent lb.Reason) {
	route, found := routes.Route(next)
	w.route = route
	switch {
	case !found:
		w.reason = lb.NoRoute
	case ipBytes > route.MTU:
		w.reason = lb.TooBig
	case !route.resolved():
		w.reason = lb.NeighbourMissing
	default:
		w.reason = sent
	}
}
