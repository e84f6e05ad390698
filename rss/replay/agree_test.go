package replay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// theirs is one of gopacket's readers.
type theirs interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// tuple is the flow of a packet by gopacket: that of the last IP header before the first header that is not Ethernet,
// VLAN, IP or an IPv6 extension; without ports for fragments.
func tuple(data []byte, first gopacket.Decoder) (f packet.Flow) {
	p := gopacket.NewPacket(data, first, gopacket.DecodeOptions{NoCopy: true, DecodeStreamsAsDatagrams: true})
	for _, layer := range p.Layers() {
		switch l := layer.(type) {
		case *layers.IPv4:
			f = addresses(l.SrcIP, l.DstIP, packet.Protocol(l.Protocol))
		case *layers.IPv6:
			f = addresses(l.SrcIP, l.DstIP, packet.Protocol(l.NextHeader))
		case *layers.IPv6HopByHop:
			f.Protocol = packet.Protocol(l.NextHeader)
		case *layers.IPv6Destination:
			f.Protocol = packet.Protocol(l.NextHeader)
		case *layers.IPv6Fragment:
			f.Protocol = packet.Protocol(l.NextHeader)
			return f
		case *layers.TCP:
			return withPorts(f, uint16(l.SrcPort), uint16(l.DstPort))
		case *layers.UDP:
			return withPorts(f, uint16(l.SrcPort), uint16(l.DstPort))
		case *layers.Ethernet, *layers.Dot1Q, *layers.LinuxSLL:
		default:
			return f
		}
	}
	return f
}

func addresses(source, destination []byte, protocol packet.Protocol) packet.Flow {
	s, _ := netip.AddrFromSlice(source)
	d, _ := netip.AddrFromSlice(destination)
	return packet.Flow{Source: netip.AddrPortFrom(s, 0), Destination: netip.AddrPortFrom(d, 0), Protocol: protocol}
}

// queueOf computes a queue from the definition of the hash, for a table of 128 equal entries.
func queueOf(f packet.Flow, queues int) rss.Queue {
	if !f.Source.IsValid() {
		return 0
	}
	input := rss.AppendAddresses(nil, f.Source.Addr(), f.Destination.Addr())
	if f.Source.Port() != 0 || f.Destination.Port() != 0 {
		input = rss.AppendTuple(nil, f.Source, f.Destination)
	}
	return rss.Queue(rss.Toeplitz(rss.MicrosoftKey(), input) % 128 % uint32(queues))
}

// agree compares flow and queue of every packet of the replay with gopacket.
func agree(t *testing.T, file []byte, other theirs, first func(int) gopacket.Decoder) {
	t.Helper()
	const queues = 8
	reader, err := pcap.Open(bytes.NewReader(file))
	must(t, err)
	r := mustReplay(t, Options{NIC: mustNIC(t, queues)})
	flows, loads := map[packet.Flow]bool{}, make([]Load, queues)
	for n := 0; ; n++ {
		data, info, end := other.ReadPacketData()
		var record pcap.Record
		if err := reader.Next(&record); err != end || end != nil {
			if err == io.EOF && end == io.EOF {
				break
			}
			t.Fatalf("packet %d: error %v, gopacket's %v", n, err, end)
		}
		at := r.waiting
		must(t, r.Add(&record))
		want := tuple(data, first(info.InterfaceIndex))
		if got := r.keys[at].Flow(); got != want {
			t.Errorf("packet %d: flow %v, gopacket's %v", n, got, want)
		}
		queue := queueOf(want, queues)
		if got := r.packets[at].queue; got != queue {
			t.Errorf("packet %d, %v: queue %d, want %d", n, want, got, queue)
		}
		loads[queue].add(uint64(info.Length))
		if want.Source.IsValid() && !flows[want] {
			flows[want] = true
			loads[queue].Flows++
		}
	}
	report, err := r.Report(File{})
	must(t, err)
	for q, load := range loads {
		if report.Queues[q].Load != load {
			t.Errorf("queue %d: %+v, want %+v", q, report.Queues[q].Load, load)
		}
	}
	if report.Flows != uint64(len(flows)) {
		t.Errorf("%d flows, want %d", report.Flows, len(flows))
	}
}

func agreeOn(t *testing.T, file []byte) {
	t.Helper()
	decoder := func(link layers.LinkType) gopacket.Decoder {
		if link == 12 { // which gopacket does not know for raw IP
			return layers.LinkTypeRaw
		}
		return link
	}
	if classic, err := pcapgo.NewReader(bytes.NewReader(file)); err == nil {
		agree(t, file, classic, func(int) gopacket.Decoder { return decoder(classic.LinkType()) })
		return
	}
	sections, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	must(t, err)
	agree(t, file, sections, func(i int) gopacket.Decoder {
		device, err := sections.Interface(i)
		must(t, err)
		return decoder(device.LinkType)
	})
}

// anyFrame is a frame of any kind that a NIC tells apart.
func anyFrame(random *rand.Rand) []byte {
	f := packet.Frame{
		Flow: flowOf(random.IntN(200)), ID: uint16(random.IntN(5)), Payload: make([]byte, 8*random.IntN(10)),
		Tags: make([]packet.Tag, random.IntN(3)),
	}
	if random.IntN(2) == 0 {
		f.Flow.Protocol = packet.UDP
	}
	six := random.IntN(3) == 0
	if six {
		f.Flow.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 13: byte(random.IntN(3)), 15: 1}), uint16(1+random.IntN(50)))
		f.Flow.Destination = netip.MustParseAddrPort("[2001:db8::2]:443")
	}
	switch random.IntN(6) {
	case 0:
		f.Fragment = &packet.Fragment{Offset: 8 * random.IntN(3), More: true}
	case 1:
		if six {
			f.Extensions = []packet.Extension{{Kind: packet.HopByHop}}
		} else {
			f.Options = []byte{1, 1, 1, 0}
		}
	case 2:
		if !six {
			f.Flow = withPorts(f.Flow, 0, 0)
			f.Flow.Protocol = packet.ICMP
			f.Payload = []byte{8, 0, 0, 0, 0, 1, 0, 2}
		}
	case 3:
		return append(make([]byte, 12), 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1) // the start of an ARP request
	}
	return f.Marshal()
}

func TestAgreesWithGopacket(t *testing.T) {
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 1))
		for link, head := range map[pcap.LinkType]int{pcap.Ethernet: 0, pcap.Raw: 14} {
			c := newCapture(link)
			for range 1000 {
				frame := anyFrame(random)
				if head > 0 && frame[12] != 0x08 && frame[12] != 0x86 || head > 0 && binary.BigEndian.Uint16(frame[12:]) == 0x0806 {
					continue // no IP right behind the header
				}
				c.add(0, frame[head:], len(frame)-head+random.IntN(100))
			}
			t.Run(fmt.Sprintf("%v, seed %d", link, seed), func(t *testing.T) { agreeOn(t, c.Bytes()) })
		}
	}
}

// The same with real captures next to the repository, if there are any.
func TestAgreesWithGopacketOnRealCaptures(t *testing.T) {
	const folder = "../../../shared/pcap"
	files, err := filepath.Glob(filepath.Join(folder, "*.pcap*"))
	must(t, err)
	if len(files) == 0 {
		t.Skipf("no real captures in %s", folder)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			file, err := os.ReadFile(name)
			must(t, err)
			agreeOn(t, file)
		})
	}
}
