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

// Reason is that of the packet's verdict, or NotExplained, or NotPredictable.
func (p Packet) Reason() string {
	if p.Explanation.Error == NotPredictable {
		return NotPredictable
	}
	return cmp.Or(p.Explanation.Reason, NotExplained)
}

const (
	// NotExplained stands for the reason of a packet that the daemon cannot explain.
	NotExplained = "not explained"
	// NotPredictable stands for the reason, and is the error, of a packet that was captured too short to tell it.
	NotPredictable = "not predictable: cut"
)

// Summary counts the packets of a capture.
type Summary struct {
	Packets uint64 `json:"packets"`
	// Cut were captured in part. Unpredicted of them are not explained, as what decides was not captured; zeros stand for
	// what is missing of the others, behind that.
	Cut         uint64 `json:"cut"`
	Unpredicted uint64 `json:"unpredictable"`
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
	// Queue returns the receive queue of a frame, of which headers and error are those of packet.ParseCaptured; nil if it is
	// not known. A nil func leaves queues out.
	Queue func(frame []byte, h *packet.Headers, err error) *rss.Queue
	// Packets takes explained packets, in the order of the capture.
	Packets func([]Packet) error

	waiting []Packet
	// probes are those of the waiting packets that can be predicted.
	probes  []api.Probe
	summary Summary
	reasons map[string]uint64
}

// Read explains all packets. Of a capture that is cut short or damaged it explains what is before, and says so in the
// replay.File. Errors:
// replay.ErrNoPackets, those of the reader, of Ask and of Packets.
func (x *Capture) Read(capture *pcap.Reader) (Summary, replay.File, error) {
	file := replay.File{Format: capture.Format()}
	x.reasons = map[string]uint64{}
	var record pcap.Record
	for {
		err := capture.Next(&record)
		switch {
		case errors.Is(err, pcap.ErrCut):
			file.Cut = err.Error()
		case x.summary.Packets > 0 && (errors.Is(err, pcap.ErrFormat) || errors.Is(err, pcap.ErrLength)):
			file.Damage = err.Error()
		}
		if err == io.EOF || file.Cut+file.Damage != "" {
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
	h, err := packet.ParseCaptured(record.Frame, record.Cut)
	if x.Queue != nil {
		p.Queue = x.Queue(record.Frame, &h, err)
	}
	if predictable(record.Frame, &h, err) {
		x.probes = append(x.probes, api.Probe{Frame: frame, Interface: x.Interface})
	} else {
		p.Explanation.Error = NotPredictable
		x.summary.Unpredicted++
	}
	x.waiting = append(x.waiting, p)
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
	var answers []api.Explanation
	if len(x.probes) > 0 {
		var err error
		if answers, err = x.Ask(x.probes); err != nil {
			return err
		}
	}
	if len(answers) != len(x.probes) {
		return fmt.Errorf("explain %d packets: the daemon answers about %d", len(x.probes), len(answers))
	}
	for n := range x.waiting {
		p := &x.waiting[n]
		if p.Explanation.Error != NotPredictable {
			p.Explanation, answers = answers[0], answers[1:]
		}
		x.reasons[p.Reason()]++
	}
	err := x.Packets(x.waiting)
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

// predictable tells whether enough of a packet was captured to explain it: the ports, the flags of TCP, the length of UDP,
// and of an ICMP error the ports of the packet that it quotes.
func predictable(frame []byte, h *packet.Headers, err error) bool {
	const (
		flags  = 14         // bytes of a TCP header, the flags included
		quoted = 8 + 60 + 8 // of an ICMP error, with the longest IPv4 header
	)
	if !h.Cut || err != nil {
		return err != packet.ErrCut
	}
	captured := len(frame) - h.Transport
	switch {
	case h.Transport == 0:
		return true
	case h.Flow.Protocol == packet.TCP:
		return captured >= flags
	case h.Flow.Protocol == packet.UDP:
		return captured >= packet.UDPLength
	case h.Flow.Protocol == packet.ICMP || h.Flow.Protocol == packet.ICMPv6:
		return captured >= quoted || captured >= 8 && isEcho(frame[h.Transport], h.Flow.Protocol)
	}
	return true
}

// isEcho tells whether a type of ICMP is that of an echo request or reply.
func isEcho(kind byte, p packet.Protocol) bool {
	if p == packet.ICMP {
		return kind == 8 || kind == 0
	}
	return kind == 128 || kind == 129
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
