package contract

import (
	"net/netip"

	"lbctl/lb"
)

// moved returns by how much each counter has moved, without those that have not. A
// service or replica that is missing counts 0.
func moved(before, after lb.Counters) lb.Counters {
	m := lb.Counters{
		Reasons:  movedIn(before.Reasons, after.Reasons),
		Services: movedIn(before.Services, after.Services),
		Replicas: map[lb.VIP]map[netip.AddrPort]lb.Count{},
	}
	for vip := range after.Replicas {
		if r := movedIn(before.Replicas[vip], after.Replicas[vip]); len(r) > 0 {
			m.Replicas[vip] = r
		}
	}
	return m
}

func movedIn[K comparable](before, after map[K]lb.Count) map[K]lb.Count {
	m := make(map[K]lb.Count)
	for key, now := range after {
		was := before[key]
		if now != was {
			m[key] = lb.Count{Packets: now.Packets - was.Packets, Bytes: now.Bytes - was.Bytes}
		}
	}
	return m
}

// tally are the counters that packets are expected to move.
type tally struct{ lb.Counters }

func newTally() tally {
	return tally{lb.Counters{
		Reasons:  map[lb.Reason]lb.Count{},
		Services: map[lb.VIP]lb.Count{},
		Replicas: map[lb.VIP]map[netip.AddrPort]lb.Count{},
	}}
}

// add counts a packet that ended in a reason.
func (t tally) add(reason lb.Reason, bytes int) { addTo(t.Reasons, reason, bytes) }

// addForwarded counts a packet to a replica of a service.
func (t tally) addForwarded(vip lb.VIP, replica netip.AddrPort, bytes int) {
	t.add(lb.Forwarded, bytes)
	addTo(t.Services, vip, bytes)
	if t.Replicas[vip] == nil {
		t.Replicas[vip] = map[netip.AddrPort]lb.Count{}
	}
	addTo(t.Replicas[vip], replica, bytes)
}

func addTo[K comparable](counts map[K]lb.Count, key K, bytes int) {
	c := counts[key]
	counts[key] = lb.Count{Packets: c.Packets + 1, Bytes: c.Bytes + uint64(bytes)}
}
