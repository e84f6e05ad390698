package nic

import (
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/nic"
	"lbctl/rss/sim"
	"lbctl/rss/sim/load"
)

// simulateSetup is what is simulated.
type simulateSetup struct {
	config   sim.Config
	arrivals iter.Seq[sim.Arrival]
	// part is the load, rate the packets per second.
	part, rate float64
}

// setup turns the flags, as they are now, into a machine and its load.
func (f *simulateFlag) setup(a *cli.App, c *cobra.Command, mode sim.Mode) (simulateSetup, error) {
	none := simulateSetup{}
	n, err := f.nicSpec.nic()
	if err != nil {
		return none, cli.Usage(c, "%v", err)
	}
	config, err := f.machine(c, mode, n)
	if err != nil {
		return none, err
	}
	if f.capture != "" {
		return f.captureSetup(a, c, config, n)
	}
	source, err := f.loadConfig(c)
	if err != nil {
		return none, err
	}
	capacity := config.Capacity(load.MeanLength(source.Lengths))
	source.Rate, err = f.packetRate(c, capacity)
	if err != nil {
		return none, err
	}
	l, err := load.New(n, source)
	if err != nil {
		return none, cli.Usage(c, "%v", err)
	}
	return simulateSetup{config: config, arrivals: l.Arrivals(), part: source.Rate / capacity, rate: source.Rate}, nil
}

// machine returns the machine behind a NIC.
func (f *simulateFlag) machine(c *cobra.Command, mode sim.Mode, n *nic.NIC) (sim.Config, error) {
	config := f.config
	config.Mode, config.Table = mode, n.Config().Table
	if f.usecs < 0 || f.usecs > 1e6 {
		return config, cli.Usage(c, "--usecs: %d: want 0 to 1000000", f.usecs)
	}
	config.Moderation.Delay = time.Duration(f.usecs) * time.Microsecond
	queues := max(f.queues, config.Table.Queues())
	cores := queues
	if c.Flags().Changed("cores") {
		cores = f.cores
	}
	if cores < 1 || cores > queues {
		return config, cli.Usage(c, "--cores: %d: want 1 to %d, the number of queues", cores, queues)
	}
	config.Cores = sim.Spread(queues, cores)
	if config.Duration <= 0 {
		return config, cli.Usage(c, "--duration: %v: want a time above 0", config.Duration)
	}
	if !c.Flags().Changed("warmup") {
		config.Warmup = config.Duration / 10
	}
	if err := config.Validate(); err != nil {
		return config, cli.Usage(c, "%v", err)
	}
	return config, nil
}

// loadConfig returns the traffic, without its rate.
func (f *simulateFlag) loadConfig(c *cobra.Command) (load.Config, error) {
	s := f.source
	s.Seed = f.seed
	kind, ok := map[string]struct {
		timing load.Timing
		choice load.Choice
	}{
		"poisson": {load.Poisson, load.Uniform}, "uniform": {load.Constant, load.Uniform},
		"zipf": {load.Poisson, load.Zipf}, "elephants": {load.Poisson, load.Elephants},
		"bursts": {load.Bursts, load.Uniform}, "flood": {load.Poisson, load.Flood},
	}[f.traffic]
	if !ok {
		return s, cli.Usage(c, "--traffic: %q is not known", f.traffic).
			OrNearest(f.traffic, []string{"poisson", "uniform", "zipf", "elephants", "bursts", "flood"}, "--traffic ")
	}
	s.Timing, s.Choice, s.Lengths = kind.timing, kind.choice, load.IMIX()
	if f.length != "imix" {
		bytes, err := strconv.Atoi(f.length)
		if err != nil {
			return s, cli.Usage(c, "--length: %q: want a number of bytes, or imix", f.length)
		}
		s.Lengths = load.Fixed(bytes)
	}
	return s, nil
}

// packetRate returns the packets per second that --load or --rate ask for.
func (f *simulateFlag) packetRate(c *cobra.Command, capacity float64) (float64, error) {
	if c.Flags().Changed("rate") {
		if c.Flags().Changed("load") {
			return 0, cli.Usage(c, "--load and --rate: want one of them")
		}
		return f.rate, nil
	}
	switch {
	case !(f.load > 0 && f.load <= 1000):
		return 0, cli.Usage(c, "--load: %g: want more than 0, at most 1000", f.load)
	case math.IsInf(capacity, 0):
		return 0, cli.Usage(c, "--load: of cores that nothing costs any time: want a --rate")
	}
	return f.load * capacity, nil
}
