package dataplanetest

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/model"
	"lbctl/rss/packet"
)

// testDelivery tests dsr and ipip, which leave the packet to the replica that holds the VIP.
func testDelivery(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range scenes() {
		t.Run(s.name(), func(t *testing.T) {
			b := newBench(t, open)
			t.Run("dsr", func(t *testing.T) { bench{b.Harness, t}.dsr(s) })
			t.Run("ipip", func(t *testing.T) { bench{b.Harness, t}.tunnel(s, s.on(West, 1, 80)) })
			if s.v4 {
				t.Run("4in6", func(t *testing.T) { bench{b.Harness, t}.tunnel(s, ipv6.on(West, 1, 80)) })
			}
			t.Run("hairpin", func(t *testing.T) { bench{b.Harness, t}.hairpin(s) })
			t.Run("fragments", func(t *testing.T) { bench{b.Harness, t}.fragments(s) })
		})
	}
}

// inMode makes the service plain with one replica.
func (b bench) inMode(s scene, m lb.Mode, replica netip.AddrPort) {
	b.t.Helper()
	service := s.service(plain, s.protocol, replica)
	service.Mode = m
	b.set(service)
}

// expect sends a frame on a link and compares what becomes of it, and the one reason that counts it.
func (b bench) expect(link string, frame []byte, action model.Action, reason lb.Reason, want []byte) {
	b.t.Helper()
	before := b.counters()
	v := b.send(link, frame)
	if v.Action != action {
		b.t.Errorf("action %v, want %v", v.Action, action)
	}
	equal(b.t, "reasons", moved(before, b.counters()).Reasons, map[lb.Reason]lb.Count{reason: {Packets: 1, Bytes: uint64(len(frame))}})
	if action != model.Drop {
		equal(b.t, "frame", hex(v.Frame), hex(want))
	}
}

// onLink gives a frame the addresses of a hop to host 1 of a link.
func onLink(frame []byte, link string) []byte {
	hop := sentBy(Packet{}, link, 1)
	return slices.Concat(hop.Destination[:], hop.Source[:], frame[12:])
}

func (b bench) dsr(s scene) {
	b.inMode(s, lb.DSR, s.on(West, 1, 80))
	p := s.plain()
	b.expect(East, p.Frame(), model.Redirect, lb.Forwarded, onLink(p.Frame(), West))
	p.TTL = 1
	b.expect(West, p.Frame(), model.Transmit, lb.Forwarded, onLink(p.Frame(), West))
	p = s.plain()
	p.Flow = packet.Flow{Source: s.on(West, 1, 80), Destination: s.client(), Protocol: s.protocol}
	b.expect(West, p.Frame(), model.Pass, lb.NotOurs, p.Frame()) // it answers as the VIP, directly
	b.inMode(s, lb.DSR, s.on(West, unknown, 80))
	b.expect(East, s.plain().Frame(), model.Drop, lb.NeighbourPending, nil)
	b.inMode(s, lb.NAT, s.replica(plain))
	sent := s.plain()
	sent.Flow.Destination = s.replica(plain)
	b.expect(East, s.plain().Frame(), model.Redirect, lb.Forwarded, sentBy(sent, West, 1).Frame())
}

// tunnel expects the packet in another one to the replica.
func (b bench) tunnel(s scene, replica netip.AddrPort) {
	b.inMode(s, lb.IPIP, replica)
	p := s.plain()
	inner := p
	inner.TTL--
	want := func() []byte { return onLink(b.outer(s, replica, inner.Frame()), West) }
	b.expect(East, p.Frame(), model.Redirect, lb.Forwarded, want())
	tagged := slices.Insert(p.Frame(), 12, 0x81, 0, 0, 7)
	b.expect(East, tagged, model.Redirect, lb.Forwarded, want())
	b.expect(West, tagged, model.Transmit, lb.Forwarded, slices.Insert(want(), 12, 0x81, 0, 0, 7))
	overhead := 20
	if replica.Addr().Is6() {
		overhead = 40
	}
	ipLength(1500-overhead)(s, &p)
	ipLength(1500-overhead)(s, &inner)
	b.expect(East, p.Frame(), model.Redirect, lb.Forwarded, want())
	ipLength(1501-overhead)(s, &p)
	frame := p.Frame()
	if s.v4 {
		frame[ethernet+6] = 0x40
	}
	b.expect(East, frame, model.Transmit, lb.TooBigAnswered, tooBigFor(uint32(1500-overhead))(s, frame, nil))
	p = s.plain()
	p.TTL = 1
	b.expect(East, p.Frame(), model.Pass, lb.TTLExpired, p.Frame())
}

// outer puts a packet of the client to plain into another one, from our address on West.
func (b bench) outer(s scene, replica netip.AddrPort, frame []byte) []byte {
	ip := frame[ethernet:]
	if replica.Addr().Is4() {
		ends := slices.Concat(ipv4.on(West, 254, 0).Addr().AsSlice(), replica.Addr().AsSlice())
		header := binary.BigEndian.AppendUint16([]byte{0x45, ip[1]}, uint16(20+len(ip)))
		header = withChecksum(nil, slices.Concat(header, []byte{0, 0, 0x40, 0, 64, 4, 0, 0}, ends), 10)
		return slices.Concat(frame[:12], []byte{0x08, 0x00}, header, ip)
	}
	e, err := b.Dataplane.Explain(lb.Probe{Flow: s.plain().Flow})
	if err != nil {
		b.t.Fatal(err)
	}
	header := binary.BigEndian.AppendUint32([]byte{0x86, 0xdd}, 6<<28|e.Hash&0xfffff)
	header = binary.BigEndian.AppendUint16(header, uint16(len(ip)))
	next := byte(41)
	if s.v4 {
		next = 4
	}
	from, _ := netip.ParseAddr("2001:db8:2::fe")
	return slices.Concat(frame[:12], header, []byte{next, 64}, from.AsSlice(), replica.Addr().AsSlice(), ip)
}

// hairpin: a replica that asks for its own service would answer itself.
func (b bench) hairpin(s scene) {
	b.inMode(s, lb.NAT, s.replica(plain))
	p := s.plain()
	p.Flow.Source = netip.AddrPortFrom(s.replica(plain).Addr(), 40000)
	b.expect(West, p.Frame(), model.Drop, lb.Hairpin, nil)
}

// fragments: the later ones follow the first, in both directions.
func (b bench) fragments(s scene) {
	b.inMode(s, lb.NAT, s.replica(plain))
	for id, way := range []struct {
		link   string
		from   packet.Flow
		to     packet.Flow
		out    string
		reason lb.Reason
	}{
		{East, s.plain().Flow, toReplica(s), West, lb.Forwarded},
		{West, fromReplica(s), fromVIP(s), East, lb.Returned},
	} {
		in, out := s.plain(), s.plain()
		in.Flow, out.Flow = way.from, way.to
		payload(64)(s, &in)
		payload(64)(s, &out)
		out = sentBy(out, way.out, 1)
		// Of 72 or 84 bytes the first 40 and the rest.
		b.expect(way.link, s.cut(in.Frame(), byte(id), 0, 40), model.Redirect, way.reason, s.cut(out.Frame(), byte(id), 0, 40))
		b.expect(way.link, s.cut(in.Frame(), byte(id), 40, 1000), model.Redirect, way.reason, s.cut(out.Frame(), byte(id), 40, 1000))
	}
}

// cut returns the fragment with the bytes [from, to) of what an IP packet carries.
func (s scene) cut(frame []byte, id byte, from, to int) []byte {
	carried := frame[s.l4():]
	to = min(to, len(carried))
	more := to < len(carried)
	piece := slices.Clone(carried[from:to])
	if s.v4 {
		bits := uint16(from / 8)
		if more {
			bits |= 0x2000
		}
		header := slices.Clone(frame[ethernet:s.l4()])
		binary.BigEndian.PutUint16(header[2:], uint16(20+len(piece)))
		binary.BigEndian.PutUint16(header[4:], 0x7700+uint16(id))
		binary.BigEndian.PutUint16(header[6:], bits)
		return slices.Concat(frame[:ethernet], withChecksum(nil, header, 10), piece)
	}
	bits := uint16(from)
	if more {
		bits |= 1
	}
	header := slices.Clone(frame[ethernet:s.l4()])
	binary.BigEndian.PutUint16(header[4:], uint16(8+len(piece)))
	fragment := binary.BigEndian.AppendUint16([]byte{header[6], 0}, bits)
	header[6] = 44
	return slices.Concat(frame[:ethernet], header, fragment, []byte{0, 0, 0x77, id}, piece)
}
