package contract

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testCounters tests what the counters promise over many packets and changes of services.
func testCounters(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("sum", func(t *testing.T) { testSum(newFixture(t, open)) })
	t.Run("anew", func(t *testing.T) { testCountersAnew(newFixture(t, open)) })
	t.Run("replacing", func(t *testing.T) { testCountersLast(newFixture(t, open)) })
}

// testSum sends packets of several kinds; the sum over the reasons is their number.
func testSum(b fixture) {
	s := scenes()[1] // IPv4, UDP
	b.set(s.services()...)
	want := newTally()
	for i := range 30 {
		p := s.plain()
		payload(i)(s, &p)
		to(byte(i%7))(s, &p) // VIPs 0 and up: some are none
		b.send(East, p.Frame())
		switch n := len(p.Frame()); byte(i % 7) {
		case plain, small:
			want.addForwarded(s.vip(byte(i%7), packet.UDP), s.replica(byte(i%7)), n)
		case empty:
			want.add(lb.NoReplica, n)
		case unresolved, smallUnresolved:
			want.add(lb.NeighbourMissing, n)
		case routeless:
			want.add(lb.NoRoute, n)
		default:
			want.add(lb.NotOurs, n)
		}
	}
	c := b.counters()
	equal(b.t, "counters", moved(lb.Counters{}, c), want.Counters)
	var packets uint64
	for _, n := range c.Reasons {
		packets += n.Packets
	}
	equal(b.t, "packets seen", packets, 30)
}

// testCountersLast replaces a service: its counters, and those of a replica that stays, go on. Those of a new
// replica start at 0.
func testCountersLast(b fixture) {
	stays, comes := ipv4.on(West, 1, 8080), ipv4.on(West, 2, 8080)
	s := ipv4.service(1, packet.TCP, stays)
	b.set(s)
	b.reaches(s.VIP, s.Replicas[0])
	before := b.counters()
	b.set(ipv4.service(1, packet.TCP, comes, stays))
	after := b.counters()
	equal(b.t, "counters moved by replacing", moved(before, after), lb.Counters{})
	equal(b.t, "service", after.Services[s.VIP], before.Services[s.VIP])
	equal(b.t, "replica that stays", after.Replicas[s.VIP][stays], before.Replicas[s.VIP][stays])
	equal(b.t, "replica that comes", after.Replicas[s.VIP][comes], lb.Count{})
}

// testCountersAnew adds and removes replicas and services, one at a time: the counters of what is added start
// at 0, whatever had its place in the tables before.
func testCountersAnew(b fixture) {
	for host := range byte(6) {
		s := ipv4.service(1+host%2, packet.TCP, ipv4.on(West, 1+host, 8080))
		if host >= 2 {
			b.remove(ipv4.service(1+host%2, packet.TCP).VIP)
		}
		b.set(s)
		c := b.counters()
		equal(b.t, "service that comes", c.Services[s.VIP], lb.Count{})
		equal(b.t, "replica that comes", c.Replicas[s.VIP][s.Replicas[0].Address], lb.Count{})
		b.reaches(s.VIP, s.Replicas[0])
	}
}

// moved returns by how much each counter has increased, without those that have not. A service or replica that
// is missing counts 0.
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
