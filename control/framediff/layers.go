package framediff

import (
	"encoding/binary"
	"fmt"
	"strings"

	"lbctl/rss/packet"
)

// ipv4 reads an IPv4 header and what follows it.
func (d *dissection) ipv4(b []byte) {
	p := packet.IPv4(b)
	if len(b) < packet.IPv4MinLength || p.HeaderLength() < packet.IPv4MinLength || p.HeaderLength() > len(b) {
		d.payload(b)
		return
	}
	from := len(d.fields)
	d.add("ip.version", fmt.Sprint(p.Version()))
	d.add("ip.tos", fmt.Sprintf("0x%02x", b[1]))
	d.add("ip.length", fmt.Sprint(p.TotalLength()))
	d.add("ip.id", hex16(p.ID()))
	d.add("ip.fragment", fragment(p.DontFragment(), p.MoreFragments(), p.FragmentOffset()))
	d.add("ip.ttl", fmt.Sprint(p.TTL()))
	d.add("ip.protocol", p.Protocol().String())
	d.add("ip.checksum", hex16(p.Checksum()))
	d.add("ip.src", p.Source().String())
	d.add("ip.dst", p.Destination().String())
	if o := p.Options(); len(o) > 0 {
		d.add("ip.options", opaque(o))
	}
	d.seen(from)
	d.behind(p.Protocol(), p.FragmentOffset() > 0, b[p.HeaderLength():])
}

func fragment(dont, more bool, offset int) string {
	text := ""
	if dont {
		text = "df "
	}
	if more {
		text += "mf "
	}
	return text + fmt.Sprint(offset)
}

// ipv6 reads an IPv6 header, its extension headers and what follows them.
func (d *dissection) ipv6(b []byte) {
	if len(b) < packet.IPv6Length {
		d.payload(b)
		return
	}
	p := packet.IPv6(b)
	from := len(d.fields)
	d.add("ip.version", fmt.Sprint(p.Version()))
	d.add("ip.traffic_class", fmt.Sprintf("0x%02x", p.TrafficClass()))
	d.add("ip.flow_label", fmt.Sprintf("0x%05x", p.FlowLabel()))
	d.add("ip.length", fmt.Sprint(p.PayloadLength()))
	d.add("ip.next_header", p.NextHeader().String())
	d.add("ip.hop_limit", fmt.Sprint(p.HopLimit()))
	d.add("ip.src", p.Source().String())
	d.add("ip.dst", p.Destination().String())
	rest := b[packet.IPv6Length:]
	next, later, length := extensions(p.NextHeader(), rest)
	if length > 0 {
		d.add("ip.extensions", opaque(rest[:length]))
	}
	d.seen(from)
	d.behind(next, later, rest[length:])
}

// extensions goes over the extension headers at the start of b. It returns what follows them, whether that is a
// fragment other than the first, and their length in bytes.
func extensions(next packet.Protocol, b []byte) (_ packet.Protocol, later bool, length int) {
	for next.IsExtension() && !later {
		rest := b[length:]
		size := 8
		if len(rest) < size {
			break
		}
		switch next {
		case packet.FragmentHeader:
			later = rest[2] != 0 || rest[3]&0xf8 != 0
		case packet.Authentication: // RFC 4302 section 2.2: in words of 4 bytes, minus 2
			size = (int(rest[1]) + 2) * 4
		default:
			size = (int(rest[1]) + 1) * 8
		}
		if len(rest) < size {
			break
		}
		next, length = packet.Protocol(rest[0]), length+size
	}
	return next, later, length
}

// seen notes an IP header whose fields begin at from.
func (d *dissection) seen(from int) {
	if d.prefix == "" {
		d.ips = append(d.ips, part{from, len(d.fields)})
	}
}

// behind reads what an IP header says follows it; later tells that it is a fragment other than the first.
func (d *dissection) behind(next packet.Protocol, later bool, b []byte) {
	switch {
	case later:
		d.payload(b)
	case next == packet.TCP && len(b) >= portsLength:
		d.tcp(b)
	case next == packet.UDP && len(b) > packet.UDPLength && d.tunnel != 0 && len(d.ips) == 1:
		d.udpTunnel(b)
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

// udpTunnel reads UDP around an IP packet, as a part of the outer header. What is inside says its version itself.
func (d *dissection) udpTunnel(b []byte) {
	s := packet.Datagram(b)
	if s.DestinationPort() != d.tunnel || b[packet.UDPLength]>>4 != 4 && b[packet.UDPLength]>>4 != 6 {
		d.udp(b)
		return
	}
	d.add("ip.udp.sport", fmt.Sprint(s.SourcePort()))
	d.add("ip.udp.dport", fmt.Sprint(s.DestinationPort()))
	d.add("ip.udp.length", fmt.Sprint(s.Length()))
	d.add("ip.udp.checksum", hex16(s.Checksum()))
	d.ips[0].to = len(d.fields)
	if inner := b[packet.UDPLength:]; inner[0]>>4 == 4 {
		d.ipv4(inner)
	} else {
		d.ipv6(inner)
	}
}
