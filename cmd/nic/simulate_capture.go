package nic

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/nic"
	"lbctl/rss/replay/pcap"
	"lbctl/rss/sim"
)

// captured is the traffic of a capture behind a NIC's classifier: times since its first packet,
// in their order; a time that lies before the one ahead of it is taken for that.
type captured struct {
	arrivals []sim.Arrival
	bytes    uint64
}

// readCaptured classifies the packets of a capture. A file that is cut short gives what it holds,
// and says so.
func readCaptured(a *cli.App, name string, n *nic.NIC) (captured, error) {
	in, _, err := a.OpenCapture(name)
	if err != nil {
		return captured{}, err
	}
	defer in.Close()
	reader, err := pcap.Open(in)
	if err != nil {
		return captured{}, cli.CaptureError(name, err)
	}
	var traffic captured
	var first int64
	for {
		var record pcap.Record
		err := reader.Next(&record)
		switch {
		case errors.Is(err, io.EOF):
			return traffic, nil
		case errors.Is(err, pcap.ErrCut) && len(traffic.arrivals) > 0:
			fmt.Fprintf(a.Stderr, "lbctl: %s: %v; what came before is used\n", name, err)
			return traffic, nil
		case err != nil:
			return captured{}, cli.CaptureError(name, err)
		case !record.Timed || len(record.Frame) == 0:
			continue
		}
		if len(traffic.arrivals) == 0 {
			first = record.Time
		}
		traffic.add(time.Duration(record.Time-first), record.Length, n.Classify(record.Frame))
	}
}

func (t *captured) add(at time.Duration, length int, to nic.Result) {
	if last := len(t.arrivals) - 1; last >= 0 {
		at = max(at, t.arrivals[last].At)
	}
	t.arrivals = append(t.arrivals, sim.Arrival{At: max(at, 0), Length: length, Hash: to.Hash, Hashed: to.Hashed})
	t.bytes += uint64(length)
}

// span is the time from the first packet to the last.
func (t captured) span() time.Duration { return t.arrivals[len(t.arrivals)-1].At }

// meanLength is that of the packets, in bytes.
func (t captured) meanLength() float64 { return float64(t.bytes) / float64(len(t.arrivals)) }

// faster returns the traffic with all gaps shrunk by a factor.
func (t captured) faster(factor float64) captured {
	t.arrivals = slices.Clone(t.arrivals)
	for i := range t.arrivals {
		t.arrivals[i].At = time.Duration(float64(t.arrivals[i].At) / factor)
	}
	return t
}

// captureSetup is setup with the packets of --pcap: as fast as they came, or, with --load or --rate,
// with their gaps all shrunk or stretched by one factor.
func (f *simulateFlag) captureSetup(a *cli.App, c *cobra.Command, config sim.Config, n *nic.NIC) (simulateSetup, error) {
	traffic, err := readCaptured(a, f.capture, n)
	if err != nil {
		return simulateSetup{}, err
	}
	if len(traffic.arrivals) < 2 || traffic.span() <= 0 {
		return simulateSetup{}, cli.Usage(c, "--pcap: %s has no two packets at different times", f.capture)
	}
	capacity := config.Capacity(traffic.meanLength())
	rate := float64(len(traffic.arrivals)-1) / traffic.span().Seconds()
	if c.Flags().Changed("load") || c.Flags().Changed("rate") {
		wanted, err := f.packetRate(c, capacity)
		if err != nil {
			return simulateSetup{}, err
		}
		if !(wanted > 0) {
			return simulateSetup{}, cli.Usage(c, "--rate: %g: want more than 0", wanted)
		}
		traffic, rate = traffic.faster(wanted/rate), wanted
	}
	if !c.Flags().Changed("duration") {
		config.Duration = traffic.span() + 1
		if !c.Flags().Changed("warmup") {
			config.Warmup = 0
		}
	}
	return simulateSetup{config: config, arrivals: slices.Values(traffic.arrivals), part: rate / capacity, rate: rate}, nil
}
