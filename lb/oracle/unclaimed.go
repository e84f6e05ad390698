package oracle

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
)

// unclaimed decides about a packet that no service and no reverse NAT entry takes, or that is malformed: by its
// addresses, if it has any.
func (d *decision) unclaimed(reason lb.Reason) lb.Reason {
	malformed := false
	switch reason {
	case lb.NotOurs, lb.NotTCPUDP, lb.IPv6Extension, lb.FragmentOrphan:
	case lb.MalformedIP, lb.MalformedL4:
		malformed = true
	default:
		return reason
	}
	source, destination, legible := d.addresses()
	switch {
	case !legible || reason == lb.MalformedL4 && d.isAnswer():
		return reason
	case !d.view.IsVIP(destination):
		if malformed {
			return lb.NotOurs
		}
		return reason
	case malformed:
		return reason
	}
	if route, found := d.routeToClient(source, destination); !found || route.Refuses {
		return lb.ForThisHost // the kernel does not send it on, so that it would come back
	}
	switch {
	case reason == lb.FragmentOrphan:
		return reason
	case d.view.Rejects():
		return d.reject()
	}
	return lb.VIPNoService
}

// addresses returns those of an IP header that may be malformed otherwise: it is there as far as they, and of
// the version that the EtherType says.
func (d *decision) addresses() (source, destination netip.Addr, legible bool) {
	ip := d.ip
	switch binary.BigEndian.Uint16(d.frame[len(d.frame)-len(ip)-etherTypeLen:]) {
	case etherIPv4:
		if len(ip) < v4Header || ip[0]>>4 != 4 {
			return source, destination, false
		}
		return addressAt(ip, v4Source, 4), addressAt(ip, v4Destination, 4), true
	case etherIPv6:
		if len(ip) < v6Header || ip[0]>>4 != 6 {
			return source, destination, false
		}
		return addressAt(ip, v6Source, 16), addressAt(ip, v6Destination, 16), true
	}
	return source, destination, false
}

// isAnswer reports whether a packet whose TCP or UDP header is malformed has the ports of a replica's answer.
func (d *decision) isAnswer() bool {
	ports := d.segment()
	if len(ports) < 4 || hasPorts(d.protocol) != ok {
		return false
	}
	return len(d.view.ReverseNAT(netip.AddrPortFrom(d.source, binary.BigEndian.Uint16(ports)), d.protocol)) > 0
}

// martian reports whether a packet cannot come from where it says.
func (d *decision) martian() bool { return !answerable(d.source) || d.source == d.destination }
