package pcap

import (
	"bytes"
	"encoding/binary"
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

// These write files byte by byte from the specifications, where gopacket's writer cannot.

// classicHead is the header of a pcap file.
func classicHead(order binary.AppendByteOrder, magic, link uint32) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = order.AppendUint64(b, 0)
	b = order.AppendUint32(b, 65535)
	return order.AppendUint32(b, link)
}

func classicRecord(order binary.AppendByteOrder, seconds, fraction, length uint32, data []byte) []byte {
	b := order.AppendUint32(nil, seconds)
	b = order.AppendUint32(b, fraction)
	b = order.AppendUint32(b, uint32(len(data)))
	b = order.AppendUint32(b, length)
	return append(b, data...)
}

// block is a pcapng block; the body is padded.
func block(order binary.AppendByteOrder, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := order.AppendUint32(nil, kind)
	b = order.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return order.AppendUint32(b, uint32(len(body)+12))
}

func sectionBlock(order binary.AppendByteOrder) []byte {
	b := order.AppendUint32(nil, 0x1a2b3c4d)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, 0)
	return block(order, 0x0a0d0d0a, order.AppendUint64(b, 1<<64-1))
}

func interfaceBlock(order binary.AppendByteOrder, link uint16, snap uint32, options ...[]byte) []byte {
	b := order.AppendUint16(nil, link)
	b = order.AppendUint16(b, 0)
	b = order.AppendUint32(b, snap)
	for _, o := range options {
		b = append(b, o...)
	}
	return block(order, 1, b)
}

func option(order binary.AppendByteOrder, code uint16, value ...byte) []byte {
	b := order.AppendUint16(nil, code)
	b = order.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func enhancedBlock(order binary.AppendByteOrder, number uint32, stamp uint64, length uint32, data []byte) []byte {
	b := order.AppendUint32(nil, number)
	b = order.AppendUint32(b, uint32(stamp>>32))
	b = order.AppendUint32(b, uint32(stamp))
	b = order.AppendUint32(b, uint32(len(data)))
	b = order.AppendUint32(b, length)
	return block(order, 6, append(b, data...))
}

func oldBlock(order binary.AppendByteOrder, number uint16, stamp uint64, length uint32, data []byte) []byte {
	b := order.AppendUint16(nil, number)
	b = order.AppendUint16(b, 7) // drops
	b = order.AppendUint32(b, uint32(stamp>>32))
	b = order.AppendUint32(b, uint32(stamp))
	b = order.AppendUint32(b, uint32(len(data)))
	b = order.AppendUint32(b, length)
	return block(order, 2, append(b, data...))
}

func simpleBlock(order binary.AppendByteOrder, length uint32, data []byte) []byte {
	return block(order, 3, append(order.AppendUint32(nil, length), data...))
}
