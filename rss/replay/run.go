// Package replay replays a capture through the model of a NIC. It reports the queue of every packet and flow,
// the imbalance and its causes, the packets that went to another queue than the rest of their flow,
// the load over time, and what another setup of the NIC would change.
//
// The file is streamed. Memory grows only with the number of flows, by at most 200 bytes
// each.
//
// A flow is one direction of a conversation as the NIC sees it (nic.Result.Flow). To the NIC the fragments
// of all datagrams between two hosts are one flow without ports, and packets in a tunnel are the
// flow of the outer header. If packets of one flow of the receiver go to several queues because of that,
// it is an affinity violation.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/replay/pcap"
)

// Run replays a capture to its end and returns the report. For a capture that is cut short, or damaged after its first
// packet, the report covers the packets before that place and says where it is. Errors: those of pcap for a capture that is
// damaged before, ErrNoPackets, ErrUnpredicted, that of ctx, and invalid options.
func Run(ctx context.Context, capture *pcap.Reader, o Options) (*Report, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	file := File{Format: capture.Format()}
	var record pcap.Record
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err := capture.Next(&record)
		if err == io.EOF {
			break
		}
		if errors.Is(err, pcap.ErrCut) {
			file.Cut = err.Error()
			break
		}
		if n > 0 && (errors.Is(err, pcap.ErrFormat) || errors.Is(err, pcap.ErrLength)) {
			file.Damage = err.Error()
			break
		}
		if err == nil {
			file.Records++
			err = r.Add(&record)
		}
		if err != nil {
			return nil, fmt.Errorf("replay capture: %w", err)
		}
	}
	for link, records := range capture.Skipped() {
		file.Skipped = append(file.Skipped, Skipped{Link: link.String(), Records: records})
	}
	return r.Report(file)
}

// ErrNoPackets: the capture has no packet that can be read.
var ErrNoPackets = errors.New("no packet to replay")

// ErrUnpredicted: of every packet less was captured than the NIC hashes.
var ErrUnpredicted = errors.New("all packets were cut before what the nic hashes")

// Measure is the unit of load.
type Measure string

// The measures. The cost of a core is mostly per packet.
const (
	Packets Measure = "packets"
	Bytes   Measure = "bytes"
)

// Options of a replay. NIC and Queues are required.
type Options struct {
	NIC *nic.NIC
	// Queues is the number of receive queues, at least as many as tables name. It includes queues that get
	// nothing.
	Queues int
	// Measure is the measure of Report.Best, Verdict and Top; the zero value is Packets.
	Measure Measure
	// Change rewrites the indirection table during the replay; nil does not.
	Change *Change
	// Others are setups to compare with the first.
	Others []Other
	// Window is the width of windows over time; 0 for none. It is doubled until the number of
	// windows is below its limit.
	Window time.Duration
	// Top is the number of largest flows to report.
	Top int
	// Seed is the seed of the by-chance band of the load.
	Seed uint64
}

// Change is a rewrite of the indirection table.
type Change struct {
	// Packet is the number of packets before the change; ignored with After.
	Packet uint64
	// After is the time from the first packet to the change; 0 to use Packet.
	After time.Duration
	Table rss.Table
}

// Other is another setup of the NIC.
type Other struct {
	Name   string
	NIC    *nic.NIC
	Queues int
}

// validate returns the options with defaults filled in.
func (o Options) validate() (Options, error) {
	if o.Measure == "" {
		o.Measure = Packets
	}
	switch {
	case o.NIC == nil:
		return o, errors.New("no nic")
	case o.Measure != Packets && o.Measure != Bytes:
		return o, fmt.Errorf("load measured in %q: want %s or %s", o.Measure, Packets, Bytes)
	case o.Window < 0:
		return o, fmt.Errorf("window of %v: want a time above 0", o.Window)
	}
	o.Queues = max(o.Queues, o.NIC.Config().Queues())
	if c := o.Change; c != nil {
		if len(c.Table) == 0 {
			return o, errors.New("change to an empty indirection table")
		}
		o.Queues = max(o.Queues, c.Table.Queues())
	}
	for i, other := range o.Others {
		o.Others[i].Queues = max(other.Queues, other.NIC.Config().Queues())
	}
	return o, nil
}
