package pcap

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// start is the time of the first packet of samples.
var start = time.Unix(1_700_000_000, 123_456_000)

// packetOf returns n bytes that differ from packet to packet.
func packetOf(i, n int) []byte {
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(i + j)
	}
	return b
}

// classicFile is a pcap file of packets of a size, written by gopacket.
func classicFile(tb testing.TB, packets, size int) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	must(tb, w.WriteFileHeader(65535, layers.LinkTypeEthernet))
	for i := range packets {
		must(tb, w.WritePacket(gopacket.CaptureInfo{
			Timestamp: start.Add(time.Duration(i) * time.Millisecond), CaptureLength: size, Length: size + 1000*(i%2),
		}, packetOf(i, size)))
	}
	return b.Bytes()
}

// sectionFile is a pcapng file, written by gopacket, of two Ethernet interfaces in turn.
func sectionFile(tb testing.TB, packets, size int) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	must(tb, err)
	_, err = w.AddInterface(pcapgo.NgInterface{
		Name: "second", LinkType: layers.LinkTypeEthernet, TimestampResolution: 9, SnapLength: 65535,
	})
	must(tb, err)
	for i := range packets {
		must(tb, w.WritePacket(gopacket.CaptureInfo{
			Timestamp: start.Add(time.Duration(i) * time.Millisecond), CaptureLength: size, Length: size + 1000*(i%2),
			InterfaceIndex: i % 2,
		}, packetOf(i, size)))
	}
	must(tb, w.Flush())
	return b.Bytes()
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
