package balance

import (
	"time"

	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// wholeFrame returns a copy of a captured frame with zeros for what was not captured of it. Without
// them every packet of a capture with short snapshots would contradict its own length. It has a byte
// at least.
func wholeFrame(record *pcap.Record) []byte {
	frame := make([]byte, max(len(record.Frame), wholeLength(record), 1))
	copy(frame, record.Frame)
	return frame
}

// wholeLength is the length in bytes that the frame had: what the capture says, and of a frame
// whose Ethernet header is made up, what its IP header says, as far as the capture allows.
func wholeLength(record *pcap.Record) int {
	const longest = 65535 + packet.EthernetLength
	if record.Link == pcap.Ethernet {
		return min(record.Length, longest)
	}
	h, err := packet.Parse(record.Frame)
	if err == packet.ErrEthernet || err == packet.ErrIP {
		return 0
	}
	length, ip := 0, record.Frame[h.Network:]
	switch h.EtherType {
	case packet.TypeIPv4:
		length = h.Network + packet.IPv4(ip).TotalLength()
	case packet.TypeIPv6:
		length = h.Network + packet.IPv6Length + packet.IPv6(ip).PayloadLength()
	}
	if length > record.Length+packet.EthernetLength {
		return 0
	}
	return length
}

// timeOf returns the time of a packet in UTC, "" where it has none.
func timeOf(record *pcap.Record) string {
	if !record.Timed {
		return ""
	}
	return time.Unix(0, record.Time).UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}
