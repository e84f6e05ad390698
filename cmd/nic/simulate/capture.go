package simulate

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/nic"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
	"lbctl/rss/sim"
	"lbctl/rss/sim/load"
)

// readCapture reads the traffic of --pcap.
func (f *flags) readCapture(a *cli.App, n *nic.NIC) (traffic load.Capture, err error) {
	err = a.ReadCapture(f.capture, false, func(capture *pcap.Reader) (file replay.File, err error) {
		traffic, err = load.ReadCapture(capture, n)
		if traffic.Cut != nil {
			file.Cut = traffic.Cut.Error()
		}
		if traffic.Damage != nil {
			file.Damage = traffic.Damage.Error()
		}
		if traffic.Unpredicted > 0 {
			a.WarnUnpredicted(f.capture, uint64(traffic.Unpredicted))
		}
		return file, err
	})
	return traffic, err
}

// captureMachine is the machine with the traffic of --pcap, at its own rate or at that of --load or --rate. Unless
// --duration is given the simulation lasts as long as the capture.
func (f *flags) captureMachine(a *cli.App, c *cobra.Command, config sim.Config, n *nic.NIC) (machine, error) {
	traffic, err := f.readCapture(a, n)
	if err != nil {
		return machine{}, err
	}
	if traffic.Span() <= 0 {
		return machine{}, cli.Usage(c, "--pcap: %s has no two packets at different times", f.capture)
	}
	capacity := config.Capacity(traffic.MeanLength())
	rate := traffic.Rate()
	if c.Flags().Changed("load") || c.Flags().Changed("rate") {
		wanted, err := f.packetRate(c, capacity)
		if err != nil {
			return machine{}, err
		}
		if !(wanted > 0) {
			return machine{}, cli.Usage(c, "--rate: %g: want more than 0", wanted)
		}
		traffic, rate = traffic.Faster(wanted/rate), wanted
	}
	if !c.Flags().Changed("duration") {
		config.Duration = traffic.Span() + 1
		if !c.Flags().Changed("warmup") {
			config.Warmup = 0
		}
	}
	return machine{config: config, arrivals: traffic.Arrivals(), load: rate / capacity, rate: rate}, nil
}
