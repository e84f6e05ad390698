package flood

import (
	"encoding/binary"
	"net/netip"

	"lbctl/rss/packet"
)

// template is a frame to one destination, from the first address of the network.
type template [frameLength]byte

// Where things are in a frame without VLAN tags or options; its length.
const (
	ipAt        = packet.EthernetLength
	tcpAt       = ipAt + packet.IPv4MinLength
	frameLength = tcpAt + packet.TCPMinLength
)

// Flow returns the flow of frame n.
func (s *Sender) Flow(n uint64) packet.Flow {
	source, port := s.source(n)
	return packet.Flow{
		Source:      netip.AddrPortFrom(netip.AddrFrom4(source), port),
		Destination: s.config.To[n%uint64(len(s.config.To))],
		Protocol:    packet.TCP,
	}
}

// Two odd constants (2^32 divided by the golden ratio; MurmurHash3's c1). Multiplication by an odd number is a
// bijection of the numbers below a power of two: different flows have different addresses.
const (
	spreadAddress = 0x9e3779b1
	spreadPort    = 0xcc9e2d51
)

// source returns the address and port that frame n comes from. Ports are 1024 or more.
func (s *Sender) source(n uint64) ([4]byte, uint16) {
	flow := n % s.config.Flows
	network := binary.BigEndian.Uint32(s.config.From.Masked().Addr().AsSlice())
	host := uint32(flow*spreadAddress) & (1<<(32-s.config.From.Bits()) - 1)
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], network|host)
	return address, uint16(1024 + uint32(flow*spreadPort)>>8%(1<<16-1024))
}

func (s *Sender) template(n int) (template, error) {
	network := s.config.From.Masked().Addr()
	b, err := packet.Frame{
		Source: packet.MAC(s.config.Link.MAC), Destination: s.config.Gateway,
		Flow:  packet.Flow{Source: netip.AddrPortFrom(network, 0), Destination: s.config.To[n], Protocol: packet.TCP},
		Flags: s.config.Flags,
	}.Build()
	if err != nil {
		return template{}, err
	}
	return template(b), nil
}

// write writes frame n.
func (s *Sender) write(b []byte, n uint64) {
	t := &s.templates[n%uint64(len(s.templates))]
	copy(b, t[:])
	ip, tcp := packet.IPv4(b[ipAt:]), packet.Segment(b[tcpAt:])
	address, port := s.source(n)
	ipSum, tcpSum := ip.Checksum(), packet.UpdateChecksum(tcp.Checksum(), tcp.SourcePort(), port)
	for i := 0; i < len(address); i += 2 {
		was, is := binary.BigEndian.Uint16(ip[12+i:]), binary.BigEndian.Uint16(address[i:])
		ipSum, tcpSum = packet.UpdateChecksum(ipSum, was, is), packet.UpdateChecksum(tcpSum, was, is)
	}
	ip.SetSource(netip.AddrFrom4(address))
	ip.SetChecksum(ipSum)
	tcp.SetSourcePort(port)
	tcp.SetChecksum(tcpSum)
}
