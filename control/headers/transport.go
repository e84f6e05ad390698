package headers

import (
	"encoding/binary"
	"fmt"
	"strings"

	"lbctl/rss/packet"
)

// behind reads what an IP header says follows it; later is a part of a packet but the first.
func (d *dissection) behind(next packet.Protocol, later bool, b []byte) {
	switch {
	case later:
		d.payload(b)
	case next == packet.TCP && len(b) >= portsLength:
		d.tcp(b)
	case next == packet.UDP && len(b) >= packet.UDPLength:
		d.udp(b)
	case next == packet.ICMP && len(b) >= icmpLength:
		d.icmp(b, quotesIPv4(b[0]), d.ipv4)
	case next == packet.ICMPv6 && len(b) >= icmpLength:
		d.icmp(b, b[0] >= 1 && b[0] <= 4, d.ipv6)
	case next == packet.InnerIPv4 && d.prefix == "":
		d.ipv4(b)
	case next == packet.InnerIPv6 && d.prefix == "":
		d.ipv6(b)
	default:
		d.payload(b)
	}
}

const (
	// portsLength is what an ICMP error quotes of TCP at the least (RFC 792).
	portsLength = 8
	icmpLength  = 8
)

// quotesIPv4 tells whether an ICMP message is an error: destination unreachable, source quench,
// time exceeded, parameter problem (RFC 792).
func quotesIPv4(kind byte) bool { return kind == 3 || kind == 4 || kind == 11 || kind == 12 }

func (d *dissection) tcp(b []byte) {
	s := packet.Segment(b)
	d.add("tcp.sport", fmt.Sprint(s.SourcePort()))
	d.add("tcp.dport", fmt.Sprint(s.DestinationPort()))
	d.add("tcp.seq", fmt.Sprint(binary.BigEndian.Uint32(b[4:])))
	if len(b) < packet.TCPMinLength {
		d.payload(b[portsLength:])
		return
	}
	d.add("tcp.ack", fmt.Sprint(s.Acknowledgement()))
	d.add("tcp.flags", flags(s.Flags()))
	d.add("tcp.window", fmt.Sprint(s.Window()))
	d.add("tcp.checksum", hex16(s.Checksum()))
	d.payload(b[packet.TCPMinLength:])
}

func flags(f packet.TCPFlags) string {
	if f == 0 {
		return "none"
	}
	var names []string
	for i, name := range [...]string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"} {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

func (d *dissection) udp(b []byte) {
	u := packet.Datagram(b)
	d.add("udp.sport", fmt.Sprint(u.SourcePort()))
	d.add("udp.dport", fmt.Sprint(u.DestinationPort()))
	d.add("udp.length", fmt.Sprint(u.Length()))
	d.add("udp.checksum", hex16(u.Checksum()))
	d.payload(b[packet.UDPLength:])
}

// icmp reads an ICMP message, and with quoted what an error quotes.
func (d *dissection) icmp(b []byte, isError bool, quoted func([]byte)) {
	d.add("icmp.type", fmt.Sprint(b[0]))
	d.add("icmp.code", fmt.Sprint(b[1]))
	d.add("icmp.checksum", hex16(binary.BigEndian.Uint16(b[2:])))
	d.add("icmp.rest", fmt.Sprintf("0x%08x", binary.BigEndian.Uint32(b[4:])))
	if !isError || d.prefix != "" {
		d.payload(b[icmpLength:])
		return
	}
	d.prefix = "quoted."
	quoted(b[icmpLength:])
	d.prefix = ""
}
