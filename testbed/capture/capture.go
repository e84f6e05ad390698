// Package capture counts, per flow, the packets on a link: an AF_PACKET socket with a
// memory-mapped ring (TPACKET_V3, Documentation/networking/packet_mmap.rst), decoded by
// gopacket. It tells when the kernel dropped packets because the reader was too slow, and counts
// everything that the link carried until Stop, what is still in the ring included.
//
// It is the one package outside of tests that uses gopacket: what it counts is compared with our own counters, and
// gopacket shares no code with rss/packet, which those come from. It also writes capture files.
package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/netns"
	"lbctl/testbed/packetring"
)

// Options say what is captured. The zero value is both directions, without a file.
type Options struct {
	// Incoming leaves out what the link's own host sends.
	Incoming bool
	// Pcap is the path of a capture file of the first PcapPackets packets, cut to 128 bytes each; empty: none.
	Pcap        string
	PcapPackets int
	// Segment, if set, is called for every TCP segment, on a goroutine of the capture, until Stop returns.
	Segment func(Segment)
}

// Stats say how much was seen.
type Stats struct {
	// Packets were read; Dropped were lost by the kernel, for want of room in the ring.
	Packets, Dropped uint64
	// Other is how many of Packets are of no flow: not IP, not TCP or UDP, fragments.
	Other uint64
}

// Capture is a running capture.
type Capture struct {
	socket *socket
	decode *decoder
	file   *file
	thread sync.WaitGroup
	err    error // of the thread; read after it ended
}

// Start captures on a link from now on.
func Start(l netns.Link, o Options) (*Capture, error) {
	c, err := start(l, o, defaultRing())
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", l.Name, err)
	}
	c.thread.Go(func() { c.err = c.socket.read(c.handle) })
	return c, nil
}

// start makes a capture without a reader.
func start(l netns.Link, o Options, size packetring.Size) (*Capture, error) {
	f, err := createFile(o)
	if err != nil {
		return nil, err
	}
	s, err := openSocket(l, o.Incoming, size)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return &Capture{socket: s, decode: newDecoder(o.Segment), file: f}, nil
}

// handle is called for each packet, on one goroutine.
func (c *Capture) handle(p packetring.Packet) {
	c.decode.count(p)
	c.file.write(p)
}

// Stop ends the capture and returns the flows, sorted by source, destination and protocol.
// It must be called once.
func (c *Capture) Stop() ([]Flow, Stats, error) {
	dropped, err := c.socket.detach()
	c.thread.Wait()
	err = errors.Join(err, c.err, c.socket.close(), c.file.close())
	stats := Stats{Packets: c.decode.packets, Dropped: dropped, Other: c.decode.other}
	if err != nil {
		err = fmt.Errorf("capture: %w", err)
	}
	return c.flows(), stats, err
}

func (c *Capture) flows() []Flow {
	all := make([]Flow, 0, len(c.decode.flows))
	for flow, n := range c.decode.flows {
		all = append(all, Flow{Flow: flow, Packets: n.packets, Bytes: n.bytes})
	}
	slices.SortFunc(all, func(a, b Flow) int {
		if c := a.Flow.Source.Compare(b.Flow.Source); c != 0 {
			return c
		}
		if c := a.Flow.Destination.Compare(b.Flow.Destination); c != 0 {
			return c
		}
		return int(a.Flow.Protocol) - int(b.Flow.Protocol)
	})
	return all
}

// Segment is the header of a TCP segment.
type Segment struct {
	// Time is when the link took it, on the clock of the day.
	Time time.Time
	Flow packet.Flow
	// The flags.
	SYN, ACK, FIN, RST bool
	// Length is that of the packet in bytes, from its Ethernet header on.
	Length int
}

// Flags names the flags that are set: "SYN, ACK".
func (s Segment) Flags() string {
	var names []string
	for _, f := range []struct {
		set  bool
		name string
	}{{s.SYN, "SYN"}, {s.FIN, "FIN"}, {s.RST, "RST"}, {s.ACK, "ACK"}} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

// Flow is what a capture saw of one direction of one flow.
type Flow struct {
	Flow           packet.Flow
	Packets, Bytes uint64
}
