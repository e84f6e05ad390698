// Package explain asks the daemon about every packet of a capture: what would become of it in the tables as they are now.
package explain

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"lbctl/control/api"
	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
)

// Packet is a packet of a capture with its explanation; scripts rely on its names.
type Packet struct {
	Number uint64 `json:"number"`
	Time   string `json:"time,omitempty"`
	Bytes  int    `json:"bytes"`
	// Queue is left out if it is not known or was not asked for.
	Queue       *rss.Queue      `json:"queue,omitempty"`
	Explanation api.Explanation `json:"explanation"`
}

// Reason is that of the packet's verdict, or NotExplained.
func (p Packet) Reason() string { return cmp.Or(p.Explanation.Reason, NotExplained) }

// NotExplained stands for the reason of a packet that the daemon cannot explain.
const NotExplained = "not explained"

// Summary counts the packets of a capture.
type Summary struct {
	Packets uint64 `json:"packets"`
	// Cut were captured in part; zeros stand for what is missing.
	Cut uint64 `json:"cut"`
	// Reasons are sorted: those of most packets first.
	Reasons []Reason `json:"reasons"`
}

// Reason counts the packets of one reason. Share is of all packets, 0 to 1.
type Reason struct {
	Reason  string  `json:"reason"`
	Packets uint64  `json:"packets"`
	Share   float64 `json:"share"`
}

// batch is the number of packets that the daemon is asked about at once.
const batch = 1000

// Capture explains the packets of a capture. Use one for one capture.
type Capture struct {
	// Ask returns the explanations of probes, in their order.
	Ask func([]api.Probe) ([]api.Explanation, error)
	// Interface is the interface that the packets come in on, "" for none in particular.
	Interface string
	// Queue returns the receive queue of a frame, nil if it is not known. A nil func leaves queues out.
	Queue func(frame []byte) *rss.Queue
	// Packets takes explained packets, in the order of the capture.
	Packets func([]Packet) error

	waiting []Packet
	probes  []api.Probe
	summary Summary
	reasons map[string]uint64
}

// Read explains all packets. Of a capture that is cut short it explains what there is, and says so in the replay.File. Errors:
// replay.ErrNoPackets, those of the reader, of Ask and of Packets.
func (x *Capture) Read(capture *pcap.Reader) (Summary, replay.File, error) {
	file := replay.File{Format: capture.Format()}
	x.reasons = map[string]uint64{}
	var record pcap.Record
	for {
		err := capture.Next(&record)
		if errors.Is(err, pcap.ErrCut) {
			file.Cut = err.Error()
		}
		if err == io.EOF || file.Cut != "" {
			break
		}
		if err == nil {
			err = x.add(&record)
		}
		if err != nil {
			return Summary{}, file, err
		}
	}
	for link, records := range capture.Skipped() {
		file.Skipped = append(file.Skipped, replay.Skipped{Link: link.String(), Records: records})
	}
	if err := x.ask(); err != nil {
		return Summary{}, file, err
	}
	if x.summary.Packets == 0 {
		return Summary{}, file, replay.ErrNoPackets
	}
	return x.summarise(), file, nil
}

// add takes a packet, and asks about all that wait once they are a batch.
func (x *Capture) add(record *pcap.Record) error {
	frame := wholeFrame(record)
	x.summary.Packets++
	if len(frame) > len(record.Frame) {
		x.summary.Cut++
	}
	p := Packet{Number: x.summary.Packets, Time: timeOf(record), Bytes: record.Length}
	if x.Queue != nil {
		p.Queue = x.Queue(frame)
	}
	x.waiting = append(x.waiting, p)
	x.probes = append(x.probes, api.Probe{Frame: frame, Interface: x.Interface})
	if len(x.waiting) < batch {
		return nil
	}
	return x.ask()
}

// ask asks about the packets that wait, and hands them on.
func (x *Capture) ask() error {
	if len(x.waiting) == 0 {
		return nil
	}
	answers, err := x.Ask(x.probes)
	if err != nil {
		return err
	}
	if len(answers) != len(x.waiting) {
		return fmt.Errorf("explain %d packets: the daemon answers about %d", len(x.waiting), len(answers))
	}
	for n, e := range answers {
		x.waiting[n].Explanation = e
		x.reasons[x.waiting[n].Reason()]++
	}
	err = x.Packets(x.waiting)
	x.waiting, x.probes = x.waiting[:0], x.probes[:0]
	return err
}

func (x *Capture) summarise() Summary {
	s := x.summary
	for reason, n := range x.reasons {
		s.Reasons = append(s.Reasons, Reason{reason, n, float64(n) / float64(s.Packets)})
	}
	slices.SortFunc(s.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
	})
	return s
}

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
