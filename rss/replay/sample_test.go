package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// capture is a pcap file under construction, little-endian, in nanoseconds.
type capture struct{ bytes.Buffer }

func newCapture(link pcap.LinkType) *capture {
	c := &capture{}
	head := fileHeader(uint32(link))
	binary.LittleEndian.PutUint32(head, 0xa1b23c4d)
	c.Write(head)
	return c
}

// add appends a packet of a length on the wire, at a time.
func (c *capture) add(at time.Duration, data []byte, length int) {
	c.Write(binary.LittleEndian.AppendUint32(nil, 1_700_000_000+uint32(at/time.Second)))
	c.Write(binary.LittleEndian.AppendUint32(nil, uint32(at%time.Second)))
	c.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(data))))
	c.Write(binary.LittleEndian.AppendUint32(nil, uint32(length)))
	c.Write(data)
}

// frames appends frames, a millisecond after each other from the start.
func (c *capture) frames(frames ...packet.Frame) *capture {
	for i, f := range frames {
		b := f.Marshal()
		c.add(time.Duration(i)*time.Millisecond, b, len(b))
	}
	return c
}

func run(tb testing.TB, c *capture, o Options) *Report {
	tb.Helper()
	r, err := pcap.Open(bytes.NewReader(c.Bytes()))
	must(tb, err)
	report, err := Run(tb.Context(), r, o)
	must(tb, err)
	return report
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// flowOf is the i-th of many flows to a server.
func flowOf(i int) packet.Flow {
	return packet.Flow{
		Source:      netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(1024+i%50000)),
		Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
	}
}

// on returns the first number, from a start on, whose flow the NIC puts on a queue.
func on(n *nic.NIC, queue, from int) int {
	for ; int(n.ClassifyFlow(flowOf(from)).Queue) != queue; from++ {
	}
	return from
}

func udp(source, destination string) packet.Flow {
	return packet.Flow{
		Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination), Protocol: packet.UDP,
	}
}

// violation returns the violation of a cause, a zero one if there is none.
func violation(p *Report, cause Cause) Violation {
	for _, v := range p.Affinity {
		if v.Cause == cause.String() {
			return v
		}
	}
	return Violation{Cause: cause.String()}
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %d flows, %d packets (%s)", v.Cause, v.Flows, v.Packets, v.Example)
}

// gzipped returns a file as gzip packs it.
func gzipped(tb testing.TB, file []byte) []byte {
	tb.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(file)
	must(tb, err)
	must(tb, w.Close())
	return packed.Bytes()
}
