package oracle

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// outerError is an ICMP error about an outer packet of mode ipip.
type outerError struct {
	ends lb.Tunnel
	// inner is what is quoted of the packet that it carried.
	inner quote
	// isTooBig: it is about the length. mtu is what it tells.
	isTooBig bool
	mtu      int
}

// relayError makes an error about an outer packet into one about the inner packet, to the sender of that: RFC 2003,
// section 4; RFC 2473, section 8. What it tells of the path's MTU is kept. An error that is not about an outer packet of
// ours ends in the reason given.
func (d *decision) relayError(none lb.Reason) lb.Reason {
	e, found := d.outerError(d.segment())
	if !found || !answerable(e.inner.source) {
		return none
	}
	// The inner packet is one of its flow like others, and nothing is recorded.
	of := decision{view: d.view, parsed: parsed{flow: e.inner.flow}, quote: &e.inner, only: true}
	service, found := d.view.Service(lb.VIP{Address: of.flow.Destination, Protocol: of.flow.Protocol})
	if !found || service.Mode != lb.IPIP {
		return none
	}
	of.service, of.vip = service, service.VIP
	if of.pick() != ok {
		return none
	}
	route, found := d.view.RouteToReplica(of.vip, of.why.Replica)
	if !found || of.tunnel(route.Preferred) != e.ends || e.ends.Source != d.destination {
		return none
	}
	d.why.Flow = of.flow
	if !e.isTooBig {
		return d.sendRelay(e, 0)
	}
	told := of.pathMTU(route)
	if mtu := max(e.mtu, leastPathMTU(e.ends.Source)); mtu < told {
		d.effects.PathMTU, told = &PathMTUEffect{of.vip, of.why.Replica, mtu}, mtu
	}
	mtu := told - of.overhead(e.ends.Destination)
	if !e.inner.v4 {
		mtu = max(mtu, leastIPv6MTU)
		if v6Header+int(binary.BigEndian.Uint16(e.inner.ip[v6Length:])) <= mtu {
			return lb.TunnelTooNarrow
		}
	}
	return d.sendRelay(e, mtu)
}

// leastPathMTU is the least MTU that is believed: of IPv4 as the kernel does (net.ipv4.route.min_pmtu).
func leastPathMTU(source netip.Addr) int {
	if source.Is4() {
		return 552
	}
	return leastIPv6MTU
}

// outerError reads the outer packet that is quoted, without options or extension headers as we send it, and the inner one.
func (d *decision) outerError(message []byte) (e outerError, found bool) {
	at := d.l4 + icmpHeader
	outer := d.ip[at:d.length]
	var carried packet.Protocol
	if d.v4 {
		if len(outer) < v4Header || outer[0] != 0x45 ||
			partOfIPv4(binary.BigEndian.Uint16(outer[v4Fragment:])) == later || message[0] != 3 && message[0] != 11 {
			return e, false
		}
		carried = packet.Protocol(outer[v4Protocol])
		e.ends.Source, e.ends.Destination = addressAt(outer, v4Source, 4), addressAt(outer, v4Destination, 4)
		e.isTooBig = message[0] == 3 && message[1] == 4
		e.mtu = int(binary.BigEndian.Uint16(message[icmpMTU+2:]))
		at += v4Header
	} else {
		if len(outer) < v6Header || outer[0]>>4 != 6 || message[0] == 4 {
			return e, false
		}
		carried = packet.Protocol(outer[v6Next])
		e.ends.Source, e.ends.Destination = addressAt(outer, v6Source, 16), addressAt(outer, v6Destination, 16)
		e.isTooBig, e.mtu = message[0] == 2, int(binary.BigEndian.Uint32(message[icmpMTU:]))
		at += v6Header
	}
	if carried == packet.UDP { // what is in it says its version itself
		udp := d.ip[at:d.length]
		if len(udp) <= udpHeader {
			return e, false
		}
		e.ends.SourcePort, e.ends.DestinationPort = binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:])
		at += udpHeader
		carried = map[byte]packet.Protocol{4: packet.InnerIPv4, 6: packet.InnerIPv6}[udp[udpHeader]>>4]
	}
	if carried != packet.InnerIPv4 && carried != packet.InnerIPv6 {
		return e, false
	}
	e.inner, found = d.quotedAt(at, carried == packet.InnerIPv4)
	return e, found && e.inner.part != later // of which the first one is told
}

// sendRelay sends the error about the inner packet from the VIP: of an MTU that its sender may use, or, with 0, that the
// replica is not reached.
func (d *decision) sendRelay(e outerError, mtu int) lb.Reason {
	in := e.inner
	ends := lb.Tunnel{Source: in.destination, Destination: in.source}
	kind, code := byte(3), byte(1) // host unreachable
	switch {
	case in.v4 && mtu > 0:
		code = 4 // fragmentation needed
	case !in.v4 && mtu > 0:
		kind, code = 2, 0 // packet too big
	case !in.v4:
		kind, code = 1, 3 // address unreachable
	}
	message := binary.BigEndian.AppendUint32([]byte{kind, code, 0, 0}, uint32(mtu))
	message = slices.Concat(message, in.ip)
	const networkControl = 0xc0
	ip := newIPv6(0, 0, len(message), packet.ICMPv6, ends)
	if in.v4 {
		ip = newIPv4(networkControl, len(message), 0, packet.ICMP, ends)
	}
	d.sum(message, ends)
	route, found := d.routeToClient(in.destination, in.source)
	if !found {
		return lb.ForThisHost
	}
	if route.Refuses {
		return lb.NoRoute
	}
	d.why.NextHop = route.nextHop()
	if len(ip)+len(message) > route.MTU {
		return lb.TooBig
	}
	ip = slices.Concat(ip, message, d.ip[d.length:]) // Ethernet padding
	if !route.resolved() {
		d.out = slices.Concat(d.frame[:macBytes], d.tags, etherTypeOf(ip), ip)
		return lb.NeighbourMissing
	}
	d.sendBy(route, ip)
	return lb.ErrorReturned
}

// sum writes the checksum of a relayed message. A wrong checksum of the error stays wrong by as much.
func (d *decision) sum(message []byte, ends lb.Tunnel) {
	right := func(message []byte, ends lb.Tunnel) uint16 {
		even := append(slices.Clone(message), make([]byte, len(message)%2)...)
		var before []byte
		if !ends.Source.Is4() {
			before = pseudoIPv6(ends, len(message), packet.ICMPv6)
		}
		writeChecksum(even, icmpChecksum, before)
		return binary.BigEndian.Uint16(even[icmpChecksum:])
	}
	was := right(d.segment(), lb.Tunnel{Source: d.source, Destination: d.destination})
	off := uint32(^binary.BigEndian.Uint16(d.segment()[icmpChecksum:])) + uint32(was)
	binary.BigEndian.PutUint16(message[icmpChecksum:], ^fold(uint32(^right(message, ends))+off))
}
