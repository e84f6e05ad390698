package oracle

import (
	"net/netip"
	"slices"

	"lbctl/lb"
)

// Offsets into an ICMP message (RFC 792, RFC 4443). An error quotes a packet behind the header.
const (
	icmpChecksum = 2
	icmpMTU      = 4
	icmpHeader   = 8
)

// icmp answers an echo request, or finds the flow that an error is about.
func (d *decision) icmp() lb.Reason {
	message := d.segment()
	request, reply := byte(8), byte(0)
	if !d.v4 {
		request, reply = 128, 129
	}
	if message[0] == request && message[1] == 0 {
		return d.echo(reply)
	}
	if !d.isError(message[0]) {
		return lb.NotTCPUDP
	}
	return d.readQuote()
}

// isError tells whether an ICMP message of a type quotes a packet that did not get through: destination
// unreachable, source quench, packet too big, time exceeded, parameter problem.
func (p parsed) isError(messageType byte) bool {
	if p.v4 {
		return slices.Contains([]byte{3, 4, 11, 12}, messageType)
	}
	return messageType >= 1 && messageType <= 4
}

// echo answers in the place of the VIP, whichever its ports.
func (d *decision) echo(reply byte) lb.Reason {
	if !d.plain || !answerable(d.source) || !d.view.IsVIP(d.destination) {
		return lb.NotTCPUDP
	}
	ip := slices.Clone(d.ip)
	// The addresses change places, which no checksum notices.
	d.writeSource(ip, d.destination)
	d.writeDestination(ip, d.source)
	d.writeTTL(ip, answerTTL)
	replace(ip, d.l4, []byte{reply, 0}, []int{d.l4 + icmpChecksum})
	d.answer(ip)
	return lb.EchoAnswered
}

// answer sends an IP packet to whom the frame came from, with its tags.
func (d *decision) answer(ip []byte) {
	d.out = slices.Concat(d.frame[6:12], d.frame[0:6], d.tags, etherTypeOf(ip), ip)
	d.egress = d.ingress
}

// answerable tells whether an address is one host's: not unspecified, of a loop, of a group, of all.
func answerable(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		group := b[0]>>4 == 0xe
		return a != netip.IPv4Unspecified() && b[0] != 127 && !group && b != [4]byte{255, 255, 255, 255}
	}
	return a != netip.IPv6Unspecified() && a != netip.IPv6Loopback() && a.As16()[0] != 0xff
}
