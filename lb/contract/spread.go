package contract

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
)

// testSpread captures the outer packets of flows to one replica of four, and replays the capture: a NIC with four queues
// has shares of the flows that chance explains, if the outer packets differ by flow, and else not.
func testSpread(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range []scene{
		{ipv4, packet.TCP, lb.IPIP, ipv4, outer{}, false},
		{ipv4, packet.UDP, lb.IPIP, ipv6, outer{}, false},
		{ipv6, packet.TCP, lb.IPIP, ipv6, outer{}, false},
		{ipv4, packet.TCP, lb.IPIP, ipv4, outer{lb.GUE, lb.GUEPort, netip.Prefix{}}, false},
		{ipv4, packet.UDP, lb.IPIP, ipv6, outer{lb.FOU, 5555, netip.Prefix{}}, false},
		{ipv6, packet.TCP, lb.IPIP, ipv6, outer{lb.GUE, lb.GUEPort, netip.Prefix{}}, false},
		{ipv4, packet.TCP, lb.IPIP, ipv4, outer{sources: netip.MustParsePrefix("10.9.0.0/16")}, false},
		{ipv6, packet.UDP, lb.IPIP, ipv6, outer{sources: netip.MustParsePrefix("2001:db8:9::/64")}, false},
	} {
		t.Run(s.name(), func(t *testing.T) {
			b := newFixture(t, open)
			counts := b.queues(s)
			bands, err := balance.ShareBands(spreadFlows, []float64{1, 1, 1, 1}, balance.Simultaneous(0.99, len(counts)))
			if err != nil {
				t.Fatal(err)
			}
			outside := 0
			for i, n := range counts {
				if !bands[i].Contains(n) {
					outside++
				}
			}
			if control := s.outer == (outer{}); (outside > 0) != control {
				t.Errorf("%v flows by queue, by chance %v each; want them outside: %v", counts, bands[0], control)
			}
		})
	}
}

const spreadFlows = 200

// queues sends a packet of each of spreadFlows flows of the first replica, and returns how many a NIC puts on each queue.
func (b fixture) queues(s scene) (counts [4]int) {
	b.t.Helper()
	var replicas []netip.AddrPort
	for host := range byte(4) {
		replicas = append(replicas, s.replicas.on(West, 1+host, 80))
	}
	service := s.moded(s.service(plain, s.protocol, replicas...))
	b.set(service)
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file)
	if err != nil {
		b.t.Fatal(err)
	}
	p := s.plain()
	for sent := 0; sent < spreadFlows; {
		p.Flow.Source = withPort(p.Flow.Source, p.Flow.Source.Port()+1)
		if oracle.Hash(service, rss.MicrosoftKey(), p.Flow)%4 != 0 {
			continue
		}
		sent++
		frame := b.send(East, p.Frame()).Frame
		if err := w.Write(pcap.Packet{Frame: frame, Length: len(frame)}); err != nil {
			b.t.Fatal(err)
		}
	}
	r, err := pcap.Open(&file)
	if err != nil {
		b.t.Fatal(err)
	}
	config, err := nic.Default(len(counts))
	if err != nil {
		b.t.Fatal(err)
	}
	model, err := nic.New(config)
	if err != nil {
		b.t.Fatal(err)
	}
	report, err := replay.Run(b.t.Context(), r, replay.Options{NIC: model, Queues: len(counts)})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, q := range report.Queues {
		counts[q.Queue] = int(q.Packets)
	}
	return counts
}

// outer is what lb.Service has of outer packets.
type outer struct {
	encapsulation lb.Encapsulation
	port          uint16
	sources       netip.Prefix
}

// outers are the scenes with outer packets that differ by flow.
func outers() []scene {
	range4, range6 := netip.MustParsePrefix("10.9.8.16/28"), netip.MustParsePrefix("2001:db8:9::/64")
	return []scene{
		{ipv4, packet.TCP, lb.IPIP, ipv4, outer{lb.GUE, lb.GUEPort, netip.Prefix{}}, false},
		{ipv6, packet.UDP, lb.IPIP, ipv6, outer{lb.GUE, 65535, range6}, false},
		{ipv4, packet.UDP, lb.IPIP, ipv6, outer{lb.FOU, 5555, netip.Prefix{}}, false},
		{ipv4, packet.TCP, lb.IPIP, ipv4, outer{lb.Plain, 0, range4}, false},
	}
}

// moded returns a service in the mode of the scene, and with its ports.
func (s scene) moded(of lb.Service) lb.Service {
	of.Mode = s.mode
	if s.ranged {
		of.VIP.Address, of.EndPort = withPort(of.VIP.Address, s.firstPort()), 80
	}
	of.Encapsulation, of.TunnelPort, of.TunnelSources = s.outer.encapsulation, s.outer.port, s.outer.sources
	return of
}

// tunnel returns the ends of the outer packets of a flow to a VIP, by a link; without ports if there is no UDP.
func (s scene) tunnel(vip byte, link string, f packet.Flow) packet.Flow {
	return tunnelOf(s.moded(s.service(vip, s.protocol)), s.replica(vip), link, f)
}

// tunnelOf returns the ends of the outer packets of a flow to a replica.
func tunnelOf(s lb.Service, replica netip.AddrPort, link string, f packet.Flow) packet.Flow {
	mixed := oracle.Spread(oracle.Hash(s, rss.MicrosoftKey(), f))
	source, port := familyOf(replica.Addr()).own(link).Addr(), uint16(0)
	if s.Encapsulation != lb.Plain {
		port = 49152 + uint16(mixed)%16384
	}
	if s.TunnelSources.IsValid() {
		source = sourceAt(s.TunnelSources, mixed)
	}
	return packet.Flow{Source: netip.AddrPortFrom(source, port), Destination: netip.AddrPortFrom(replica.Addr(), s.TunnelPort)}
}

// sourceAt returns the address of a range that stands in it where the number stands among all of 32 bits. The range ends
// after 32 bits; where it has more than two addresses it begins with the second, and IPv4 ends before the last.
func sourceAt(p netip.Prefix, number uint32) netip.Addr {
	bytes := p.Addr().AsSlice()
	low := bytes[len(bytes)-4:]
	first, n := uint64(0), uint64(1)<<min(8*len(bytes)-p.Bits(), 32)
	if n > 2 {
		first, n = 1, n-1
	}
	if n > 2 && len(bytes) == 4 {
		n--
	}
	at := uint64(binary.BigEndian.Uint32(low)) + first + uint64(number)*n>>32
	binary.BigEndian.PutUint32(low, uint32(at))
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// inUDP puts bytes into UDP without a checksum.
func inUDP(f packet.Flow, b []byte) []byte {
	header := binary.BigEndian.AppendUint16(nil, f.Source.Port())
	header = binary.BigEndian.AppendUint16(header, f.Destination.Port())
	header = binary.BigEndian.AppendUint16(header, uint16(8+len(b)))
	return append(append(header, 0, 0), b...)
}

// editOuter has outer packets differ by flow in two of three services in mode ipip, and may give them addresses of a
// family that a replica does not have.
func editOuter(r *rand.Rand, s *lb.Service) {
	s.Encapsulation, s.TunnelPort, s.TunnelSources = lb.Plain, 0, netip.Prefix{}
	if s.Mode != lb.IPIP && r.IntN(100) > 0 {
		return
	}
	if r.IntN(2) == 0 {
		s.Encapsulation, s.TunnelPort = lb.GUE+lb.Encapsulation(r.IntN(2)), []uint16{lb.GUEPort, 1 + uint16(r.IntN(65535))}[r.IntN(2)]
	}
	if r.IntN(2) == 0 {
		s.TunnelSources = netip.MustParsePrefix([]string{"10.9.8.0/24", "10.9.8.7/32", "10.9.8.6/31", "10.128.0.0/9", "2001:db8:9::/64", "2001:db8:9::8/125", "fd00::/8"}[r.IntN(7)])
	}
}
