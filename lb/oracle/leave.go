package oracle

import (
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// toReplica sends a packet that is to a VIP to a replica.
func (d *decision) toReplica() lb.Reason {
	if d.service.Mode != lb.DSR && d.ttl <= 1 { // only a router counts down, not a bridge
		return lb.TTLExpired
	}
	if reason := d.pick(); reason != ok {
		return reason
	}
	d.countBegun()
	replica := d.why.Replica
	if d.quote == nil && d.source == replica.Addr() {
		return lb.Hairpin
	}
	route, found := d.view.RouteToReplica(d.vip, replica)
	if !found {
		return lb.NoRoute
	}
	d.why.NextHop = route.nextHop()
	mtu := d.pathMTU(route) - d.overhead(replica.Addr())
	if d.length > mtu {
		if reason := d.tooBig(mtu); reason != ok {
			return reason
		}
	}
	return d.deliver(route)
}

// pathMTU is the greatest packet that gets to the replica.
func (d *decision) pathMTU(route Route) int {
	if told := d.view.PathMTU(d.vip, d.why.Replica); d.service.Mode == lb.IPIP && told > 0 {
		return min(route.MTU, told)
	}
	return route.MTU
}

// deliver rewrites or encapsulates the packet for its replica, by the mode, and sends it.
func (d *decision) deliver(route Route) lb.Reason {
	d.why.Rewritten = d.flow
	if d.service.Mode != lb.NAT {
		if !route.resolved() {
			return lb.NeighbourPending
		}
		d.sendUnchanged(route)
		return d.sentAs(lb.Forwarded, lb.ErrorForwarded)
	}
	d.why.Rewritten.Destination = d.why.Replica
	ip := d.readdressed(d.source, d.why.Replica.Addr())
	return d.sendOrPass(route, ip, d.sentAs(lb.Forwarded, lb.ErrorForwarded))
}

// sendUnchanged sends the packet in the modes that do not rewrite its addresses.
func (d *decision) sendUnchanged(route Route) {
	ip := slices.Clone(d.ip)
	if d.service.Mode == lb.IPIP {
		d.writeTTL(ip, d.ttl-1)
		ip = d.wrap(ip, route.Preferred)
	}
	d.sendBy(route, ip)
}

// toClient sends a replica's answer to the client, with the VIP as its source.
func (d *decision) toClient() lb.Reason {
	if d.ttl <= 1 {
		return lb.TTLExpired
	}
	source := d.vip.Address.Addr()
	if d.quote != nil && d.source != d.flow.Source.Addr() {
		source = d.source // of a router that the replica's client did not get through
	}
	route, found := d.routeToClient(source, d.destination)
	if !found {
		return lb.ForThisHost
	}
	if route.Refuses {
		return lb.NoRoute
	}
	d.why.NextHop = route.nextHop()
	if d.length > route.MTU {
		if reason := d.tooBig(route.MTU); reason != ok {
			return reason
		}
	}
	d.why.Rewritten = packet.Flow{Source: d.vip.Address, Destination: d.flow.Destination, Protocol: d.flow.Protocol}
	ip := d.readdressed(source, d.destination)
	return d.sendOrPass(route, ip, d.sentAs(lb.Returned, lb.ErrorReturned))
}

// routeToClient is RouteToClient of the View. The kernel's FIB tells of no route (bpf_ipv6_fib_lookup) for addresses of IPv6
// that mean something on one link alone.
func (d *decision) routeToClient(source, destination netip.Addr) (Route, bool) {
	for _, a := range []netip.Addr{source, destination} {
		if a.Is6() && !a.Is4In6() && (a.IsLinkLocalUnicast() || a.IsLoopback() || a.IsMulticast()) {
			return Route{}, false
		}
	}
	return d.view.RouteToClient(source, destination)
}

// readdressed returns the IP packet with these addresses. Its flow, or in an error the quoted one, becomes
// why.Rewritten.
func (d *decision) readdressed(source, destination netip.Addr) []byte {
	if d.quote == nil {
		if d.part == first {
			d.rememberFragment(d.why.Rewritten)
		}
		return d.rewritten(d.why.Rewritten)
	}
	ip := d.requoted(d.why.Rewritten)
	checksums := []int{v4Checksum}
	if !d.v4 {
		checksums = []int{d.l4 + icmpChecksum} // of a pseudo header too
	}
	sourceAt, destinationAt := d.addressesAt()
	replace(ip, sourceAt, source.AsSlice(), checksums)
	replace(ip, destinationAt, destination.AsSlice(), checksums)
	return ip
}

// sendOrPass sends a rewritten packet, for the reason `sent`. If it is too long, or the neighbour is not known, it passes
// the packet to the kernel, which cuts it or resolves the neighbour, and decrements the TTL.
func (d *decision) sendOrPass(route Route, ip []byte, sent lb.Reason) lb.Reason {
	if d.passed == ok && !route.resolved() {
		d.passed = lb.NeighbourMissing
	}
	if d.passed != ok {
		d.out = slices.Concat(d.frame[:len(d.frame)-len(d.ip)], ip)
		return d.passed
	}
	d.writeTTL(ip, d.ttl-1)
	d.sendBy(route, ip)
	return sent
}

// sendBy sends an IP packet by a route. The tags stay only if it leaves by the interface that it came in on.
func (d *decision) sendBy(route Route, ip []byte) {
	tags := d.tags
	if route.Index != d.ingress {
		tags = nil
	}
	d.out = slices.Concat(route.Neighbour[:], route.Source[:], tags, etherTypeOf(ip), ip)
	d.egress = route.Index
}

// sentAs returns the reason for a packet, or that for an ICMP error.
func (d *decision) sentAs(packet, icmpError lb.Reason) lb.Reason {
	if d.quote != nil {
		return icmpError
	}
	return packet
}

// etherTypeOf returns the EtherType of an IP packet.
func etherTypeOf(ip []byte) []byte {
	if ip[0]>>4 == 4 {
		return []byte{etherIPv4 >> 8, etherIPv4 & 0xff}
	}
	return []byte{etherIPv6 >> 8, etherIPv6 & 0xff}
}
