package contract

import (
	"net/netip"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testPorts tests services with several ports: which service a port belongs to, through changes, and that what is counted,
// recorded and limited is the service's. What becomes of their packets the packet cases test, in scenes that have them.
func testPorts(t *testing.T, open func(t *testing.T) Harness) {
	for _, f := range families() {
		for name, test := range map[string]func(fixture, family){
			"of a service": testPortsOf, "one port within": testPortWithin, "changes": testPortsChange, "protocols": testPortsOfProtocols,
			"records": testPortRecords, "old flows": testPortOldFlows, "limits": testPortLimits, "many": testManyRanges,
		} {
			t.Run(f.name+" "+name, func(t *testing.T) { test(newFixture(t, open), f) })
		}
	}
}

// at returns a service at another port, that of its replicas, too.
func at(s lb.Service, port uint16) lb.Service {
	s = s.Clone()
	s.VIP.Address = withPort(s.VIP.Address, port)
	for i, r := range s.Replicas {
		s.Replicas[i].Address = withPort(r.Address, port)
	}
	return s
}

// ranged returns a service with several ports, and a mode that leaves them.
func ranged(s lb.Service, last uint16) lb.Service {
	s.Mode, s.EndPort = lb.DSR, last
	return s
}

// several is a service of four replicas with the ports 80 to 99.
func (f family) several(p packet.Protocol, t lb.Tracking) lb.Service {
	return ranged(at(f.remembering(p, lb.Maglev, t), 80), 99)
}

// toPort is a flow to a port at the address of a service.
func toPort(s lb.Service, port uint16) packet.Flow {
	flow := flowTo(s.VIP)
	flow.Destination = withPort(flow.Destination, port)
	return flow
}

// takes sends a packet to a port: it must be the service's, with the replica, and be counted so.
func (b fixture) takes(s lb.Service, port uint16, replica netip.AddrPort, why string) {
	b.t.Helper()
	frame := packetOf(toPort(s, port), flagACK).Frame()
	e := b.explain(lb.Probe{Frame: frame})
	if e.Service == nil || e.Service.VIP != s.VIP || e.Replica != replica {
		b.t.Errorf("%s: port %d is explained by service %v, replica %v, want %v, %v", why, port, e.Service, e.Replica, s.VIP, replica)
	}
	before, want := b.counters(), newTally()
	b.send(East, frame)
	want.addForwarded(s.VIP, replica, len(frame))
	equal(b.t, why+": counters moved", moved(before, b.counters()), want.Counters)
}

// takesNone sends a packet to a port at the address of a service, which no service has.
func (b fixture) takesNone(s lb.Service, port uint16, why string) {
	b.t.Helper()
	b.becomes(packetOf(toPort(s, port), flagACK).Frame(), lb.ForThisHost, why)
}

func testPortsOf(b fixture, f family) {
	s := f.several(packet.TCP, lb.Stateless)
	b.set(s)
	equal(b.t, "services", b.services(), []lb.Service{s})
	for _, port := range []uint16{80, 81, 90, 98, 99} {
		b.takes(s, port, owner(s, toPort(s, port)), "ports 80 to 99")
	}
	b.takesNone(s, 79, "the port before")
	b.takesNone(s, 100, "the port behind")
	b.becomes(packetOf(packet.Flow{Source: f.on(East, 1, 1), Destination: f.on(East, 2, 90), Protocol: packet.TCP}, flagACK).Frame(), lb.NotOurs, "another address")
	to := map[netip.AddrPort]bool{}
	for port := uint16(80); port < 100; port++ {
		to[owner(s, toPort(s, port))] = true
		b.takes(s, port, owner(s, toPort(s, port)), "each port is of the hash")
	}
	if len(to) < 3 {
		b.t.Errorf("20 ports of one client are with %d replicas of 4", len(to))
	}
	m := b.monitor(lb.Filter{Service: s.VIP})
	b.send(East, packetOf(toPort(s, 85), flagACK).Frame())
	got := b.next(m)
	equal(b.t, "service of a sample", got.Service, s.VIP)
	equal(b.t, "replica of a sample", got.Replica, owner(s, toPort(s, 85)))
	b.remove(s.VIP)
	b.isNotOurs(toPort(s, 85))
	b.isNotOurs(toPort(s, 80))
}

func testPortWithin(b fixture, f family) {
	s := f.several(packet.TCP, lb.Stateless)
	one := at(f.service(1, packet.TCP, f.on(West, 9, 8080)), 90)
	one.Replicas[0].Address = f.on(West, 9, 8080)
	for _, first := range [][]lb.Service{{s, one}, {one, s}} {
		b.set(first...)
		b.takes(one, 90, one.Replicas[0].Address, "one port before several")
		b.takes(s, 89, owner(s, toPort(s, 89)), "the port beside")
		b.remove(one.VIP)
		b.takes(s, 90, owner(s, toPort(s, 90)), "the one port is gone")
		b.remove(s.VIP)
	}
}

func testPortsChange(b fixture, f family) {
	s := f.several(packet.TCP, lb.TrackChanges)
	next := ranged(at(f.service(1, packet.TCP, f.on(West, 9, 0)), 95), 0)
	b.set(s)
	for _, end := range []uint16{94, 0, 81, 65535, 94} {
		s.EndPort = end
		b.set(s)
		b.takes(s, 80, owner(s, toPort(s, 80)), "ports have changed")
		if end == 0 {
			b.takesNone(s, 81, "one port is left")
			continue
		}
		b.takes(s, end, owner(s, toPort(s, end)), "ports have changed")
		if end < 65535 {
			b.takesNone(s, end+1, "ports have changed")
		}
	}
	next.EndPort = 99
	b.set(next)
	b.takes(s, 94, owner(s, toPort(s, 94)), "another has the ports behind")
	b.takes(next, 96, next.Replicas[0].Address, "another has the ports behind")
	s.EndPort = 95
	b.unchanged("ports in common", func() { b.refused(set("ports in common", s, lb.ErrConflict)) })
	b.takes(next, 95, next.Replicas[0].Address, "ports in common are refused")
}

// testPortsOfProtocols: TCP and UDP have ports of their own, also fragments.
func testPortsOfProtocols(b fixture, f family) {
	tcp, udp := f.several(packet.TCP, lb.Stateless), f.several(packet.UDP, lb.Stateless)
	udp = without(udp, 0)
	b.set(tcp)
	b.takesNone(udp, 90, "there is no such protocol")
	b.set(udp)
	b.takes(tcp, 90, owner(tcp, toPort(tcp, 90)), "tcp")
	b.takes(udp, 90, owner(udp, toPort(udp, 90)), "udp")
}

// testPortRecords: the records of flows are those of a service. A port that goes to another one and comes back finds its
// flows again.
func testPortRecords(b fixture, f family) {
	for _, p := range protocols() {
		was := f.several(p, lb.TrackAlways)
		is := with(was, lb.Draining, 0, 1)
		one := at(f.remembering(p, lb.Maglev, lb.TrackAlways), 90)
		one.Mode = lb.DSR
		one = without(without(one, 0), 0)
		for i := range one.Replicas {
			one.Replicas[i].Address = f.on(West, byte(8+i), 90)
		}
		b.set(was)
		with := map[uint16]netip.AddrPort{}
		begin := func(port uint16) {
			flow := toPort(was, port)
			b.send(East, packetOf(flow, flagSYN).Frame())
			b.send(East, packetOf(flow, flagACK).Frame())
			with[port] = owner(was, flow)
		}
		for port := uint16(80); port < 100; port++ {
			begin(port)
		}
		b.set(is)
		stay := func(why string, but uint16) {
			b.t.Helper()
			for port, replica := range with {
				if port != but {
					b.takes(is, port, replica, why)
				}
			}
		}
		stay("replicas drain", 0)
		b.set(one)
		b.takes(one, 90, owner(one, toPort(one, 90)), "a port has gone to another service")
		stay("a port has gone", 90)
		b.remove(one.VIP)
		stay("and come back", 0)
		is.EndPort = 89
		b.set(is)
		above := ranged(at(one, 90), 99)
		b.set(above)
		b.takes(above, 91, owner(above, toPort(above, 91)), "ports have gone to several others")
		b.remove(above.VIP)
		is.EndPort = 99
		b.set(is)
		stay("and they, too, have come back", 0)
		b.remove(is.VIP)
	}
}

// testPortOldFlows: flows from before a change of the replicas stay, those to the first port and to others.
func testPortOldFlows(b fixture, f family) {
	was := f.several(packet.TCP, lb.TrackChanges)
	b.set(was)
	with := map[uint16]netip.AddrPort{}
	for port := uint16(80); port < 100; port++ {
		with[port] = owner(was, toPort(was, port))
		b.takes(was, port, with[port], "before")
	}
	is := without(was, 3)
	is.EndPort = 65535
	b.set(is)
	for port, replica := range with {
		if replica != was.Replicas[3].Address {
			b.takes(is, port, replica, "a replica less and ports more")
		}
	}
}

// testPortLimits: source ranges and rates are those of the service, whatever the port.
func testPortLimits(b fixture, f family) {
	s := f.several(packet.TCP, lb.Stateless)
	s.RateLimit = lb.RateLimit{Packets: 4, Burst: time.Second}
	s.SourceRanges = []netip.Prefix{f.clientRange()}
	b.set(s)
	b.becomes(packetOf(toPort(s, 90), flagACK).Frame(), lb.SourceDenied, "a client is from elsewhere")
	from := func(port uint16) []byte {
		flow := toPort(s, port)
		flow.Source = f.on(East, 17, 40000)
		return packetOf(flow, flagACK).Frame()
	}
	for port := uint16(80); port < 84; port++ {
		if v := b.send(East, from(port)); v.Action != oracle.Redirect {
			b.t.Errorf("packet to port %d: %v", port, v.Action)
		}
	}
	b.becomes(from(84), lb.RateLimitedPackets, "ports share a rate")
}

// testManyRanges: an address has room for so many services with several ports, and for all others beside them.
func testManyRanges(b fixture, f family) {
	service := func(first uint16) lb.Service {
		return ranged(at(f.service(1, packet.TCP, f.on(West, 1, 0)), first), first+8)
	}
	for round := range uint16(2) { // the second uses the gaps of the first
		for i := range uint16(lb.MaxPortRanges) {
			b.set(service(1000 + 10*i + round))
		}
		b.refused(set("one range more", service(9000), lb.ErrConflict))
		b.set(at(f.service(1, packet.TCP), 9000))
		for i := range uint16(lb.MaxPortRanges) {
			s := service(1000 + 10*i + round)
			b.takes(s, s.EndPort, s.Replicas[0].Address, "all ranges")
			b.takesNone(s, s.EndPort+1, "beside a range")
		}
		for i := range uint16(lb.MaxPortRanges) {
			s := service(1000 + 10*(i*5%lb.MaxPortRanges) + round)
			b.remove(s.VIP)
			b.takesNone(s, s.EndPort, "a range is gone")
		}
	}
}
