package simulate

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

// machine is the machine that is simulated, and its traffic.
type machine struct {
	config   sim.Config
	arrivals iter.Seq[sim.Arrival]
	// load is relative to the capacity, rate in packets per second.
	load, rate float64
}

// machine turns the flags, as they are now, into a machine.
func (f *flags) machine(a *cli.App, c *cobra.Command, mode sim.Mode) (machine, error) {
	none := machine{}
	n, err := f.NIC()
	if err != nil {
		return none, cli.SetupFailure(c, err)
	}
	config, err := f.machineConfig(c, mode, n)
	if err != nil {
		return none, err
	}
	if f.capture != "" {
		return f.captureMachine(a, c, config, n)
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
	return machine{config: config, arrivals: l.Arrivals(), load: source.Rate / capacity, rate: source.Rate}, nil
}

// machineConfig returns the machine behind a NIC, without traffic.
func (f *flags) machineConfig(c *cobra.Command, mode sim.Mode, n *nic.NIC) (sim.Config, error) {
	config := f.config
	config.Mode, config.Table = mode, n.Config().Table
	if f.usecs < 0 || f.usecs > 1e6 {
		return config, cli.Usage(c, "--usecs: %d: want 0 to 1000000", f.usecs)
	}
	config.Moderation.Delay = time.Duration(f.usecs) * time.Microsecond
	queues := max(f.Queues, config.Table.Queues())
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
func (f *flags) loadConfig(c *cobra.Command) (load.Config, error) {
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
func (f *flags) packetRate(c *cobra.Command, capacity float64) (float64, error) {
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
		return 0, cli.Usage(c, "--load: packets cost the cores no time: want a --rate")
	}
	return f.load * capacity, nil
}
