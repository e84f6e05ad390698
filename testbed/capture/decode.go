package capture

import (
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lbctl/rss/packet"
	"lbctl/testbed/packetring"
)

// count is what was seen of one flow.
type count struct{ packets, bytes uint64 }

// decoder counts packets by flow. One goroutine.
type decoder struct {
	parser   *gopacket.DecodingLayerParser
	ethernet layers.Ethernet
	vlan     layers.Dot1Q
	ip4      layers.IPv4
	ip6      layers.IPv6
	tcp      layers.TCP
	udp      layers.UDP
	decoded  []gopacket.LayerType

	flows          map[packet.Flow]*count
	packets, other uint64
	// segment, if set, is called for every TCP segment.
	segment func(Segment)
}

func newDecoder(segment func(Segment)) *decoder {
	d := &decoder{flows: map[packet.Flow]*count{}, segment: segment}
	d.parser = gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet,
		&d.ethernet, &d.vlan, &d.ip4, &d.ip6, &d.tcp, &d.udp)
	d.parser.IgnoreUnsupported = true // what is behind TCP and UDP
	return d
}

// count counts one packet.
func (d *decoder) count(p packetring.Packet) {
	d.packets++
	flow, ok := d.flow(p.Data)
	if !ok {
		d.other++
		return
	}
	n := d.flows[flow]
	if n == nil {
		n = &count{}
		d.flows[flow] = n
	}
	n.packets++
	n.bytes += uint64(p.Length)
	if d.segment != nil && flow.Protocol == packet.TCP {
		d.segment(Segment{
			Time: p.Time, Flow: flow, Length: p.Length,
			SYN: d.tcp.SYN, ACK: d.tcp.ACK, FIN: d.tcp.FIN, RST: d.tcp.RST,
		})
	}
}

// flow returns the flow of a packet of TCP or UDP.
func (d *decoder) flow(data []byte) (packet.Flow, bool) {
	if err := d.parser.DecodeLayers(data, &d.decoded); err != nil {
		return packet.Flow{}, false
	}
	var source, destination netip.Addr
	for _, layer := range d.decoded {
		switch layer {
		case layers.LayerTypeIPv4:
			source, destination = address(d.ip4.SrcIP), address(d.ip4.DstIP)
		case layers.LayerTypeIPv6:
			source, destination = address(d.ip6.SrcIP), address(d.ip6.DstIP)
		case layers.LayerTypeTCP:
			return flow(packet.TCP, source, uint16(d.tcp.SrcPort), destination, uint16(d.tcp.DstPort)), true
		case layers.LayerTypeUDP:
			return flow(packet.UDP, source, uint16(d.udp.SrcPort), destination, uint16(d.udp.DstPort)), true
		}
	}
	return packet.Flow{}, false
}

func flow(p packet.Protocol, source netip.Addr, sourcePort uint16, destination netip.Addr, destinationPort uint16) packet.Flow {
	return packet.Flow{
		Source: netip.AddrPortFrom(source, sourcePort), Destination: netip.AddrPortFrom(destination, destinationPort),
		Protocol: p,
	}
}

// address never fails: gopacket's addresses are 4 or 16 bytes.
func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a
}
