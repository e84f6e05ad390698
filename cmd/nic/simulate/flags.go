package simulate

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lbctl/cmd/cli"
	"lbctl/rss/setup"
	"lbctl/rss/sim"
	"lbctl/rss/sim/load"
)

// flags are the flags of lbctl rss simulate.
type flags struct {
	*setup.Setup
	mode       []string
	load, rate float64
	traffic    string
	length     string
	source     load.Config
	cores      int
	usecs      int
	config     sim.Config
	seed       uint64
	sweep, out string
	capture    string
	output     *cli.Format
}

// add adds the flags. Defaults are those of sim.Default.
func (f *flags) add(c *cobra.Command) {
	f.Setup = cli.NICFlags(c)
	f.config, _ = sim.Default(setup.DefaultQueues) // which is a possible number
	flags := c.Flags()
	flags.StringSliceVar(&f.mode, "mode", []string{string(sim.ModeNAPI)}, "how packets come to the application: interrupt, napi, threaded, busypoll; or several, joined by commas")
	flags.StringVar(&f.sweep, "sweep", "", "repeat for values of a flag, as load=0.1..1.5:15; one of "+strings.Join(sweepable(), ", "))
	flags.StringVar(&f.out, "out", "", "write report.html, report.json and the figures to this folder")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of all random choices")
	f.addTraffic(flags)
	f.addMachine(flags)
	f.addCosts(flags)
	f.output = cli.OutputFlag(c)
}

func (f *flags) addTraffic(flags *pflag.FlagSet) {
	flags.Float64Var(&f.load, "load", 0.5, "packets offered, relative to what the cores could do at best")
	flags.Float64Var(&f.rate, "rate", 0, "packets offered per second, instead of --load")
	flags.StringVar(&f.traffic, "traffic", "poisson", "poisson, uniform (even gaps), zipf, elephants, bursts or flood (SYNs from random sources)")
	flags.StringVar(&f.capture, "pcap", "", "the packets of a capture instead of --traffic, --length and --flows; - is stdin")
	flags.StringVar(&f.length, "length", "64", "length of frames in bytes, or imix")
	flags.IntVar(&f.source.Flows, "flows", 1000, "number of flows")
	flags.Float64Var(&f.source.Skew, "skew", 1, "zipf: the exponent")
	flags.IntVar(&f.source.Elephants, "elephants", 1, "elephants: how many large flows")
	flags.Float64Var(&f.source.ElephantShare, "elephant-share", 0.5, "elephants: their share of the packets")
	flags.DurationVar(&f.source.On, "on", 100*time.Microsecond, "bursts: mean length of a burst")
	flags.DurationVar(&f.source.Off, "off", 300*time.Microsecond, "bursts: mean time between bursts")
}

func (f *flags) addMachine(flags *pflag.FlagSet) {
	m := &f.config
	flags.IntVar(&f.cores, "cores", 0, "cores; queue i is on core i modulo their number (default one core for each queue)")
	flags.IntVar(&m.Ring, "ring", m.Ring, "packets in a queue's ring")
	flags.IntVar(&m.Socket, "socket-queue", m.Socket, "packets that can wait for the application of a core")
	flags.IntVar(&f.usecs, "usecs", int(m.Moderation.Delay/time.Microsecond), "rx-usecs: how long an interrupt waits for more packets")
	flags.IntVar(&m.Moderation.Frames, "frames", m.Moderation.Frames, "rx-frames: how many packets end the wait of --usecs early; 0 for no limit")
	flags.BoolVar(&m.Moderation.Adaptive, "adaptive", false, "adaptive-rx: DIM chooses usecs and frames")
	flags.IntVar(&m.Budget.Poll, "budget", m.Budget.Poll, "most packets of one poll")
	flags.IntVar(&m.Budget.Round, "netdev-budget", m.Budget.Round, "most packets of one round of polls")
	flags.DurationVar(&m.Budget.RoundTime, "netdev-budget-time", m.Budget.RoundTime, "longest time of one round of polls, and of all rounds before ksoftirqd takes over")
	flags.DurationVar(&m.BusyPoll, "busy-poll", m.BusyPoll, "busypoll: how long the application polls without finding a packet before it sleeps")
	flags.IntVar(&m.Scheduler.Share, "app-share", m.Scheduler.Share, "the application's percentage of the core while ksoftirqd competes for it")
	flags.DurationVar(&m.Scheduler.Slice, "slice", m.Scheduler.Slice, "how long a thread runs before it is preempted by the other")
	flags.DurationVar(&m.Duration, "duration", 500*time.Millisecond, "virtual time to simulate")
	flags.DurationVar(&m.Warmup, "warmup", 0, "virtual time at the beginning that is not counted (default a tenth of --duration)")
}

func (f *flags) addCosts(flags *pflag.FlagSet) {
	costs := &f.config.Costs
	flags.DurationVar(&costs.Interrupt, "interrupt-cost", costs.Interrupt, "time of a hard interrupt")
	flags.DurationVar(&costs.Poll, "poll-cost", costs.Poll, "time of a call of the poll function")
	flags.DurationVar(&costs.Packet, "packet-cost", costs.Packet, "time of the packet work of a packet, up to the socket")
	flags.DurationVar(&costs.PerKiB, "kib-cost", costs.PerKiB, "time that each 1024 bytes of a frame add to --packet-cost")
	flags.DurationVar(&costs.Application, "app-cost", costs.Application, "time of a packet in the application; 0 for no application")
	flags.DurationVar(&costs.Switch, "switch-cost", costs.Switch, "time of a context switch")
}

// flagValues returns the parameters of a report.
func flagValues(c *cobra.Command) map[string]any {
	values := map[string]any{}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "output", "out", "help":
		default:
			values[f.Name] = fmt.Sprint(f.Value)
		}
	})
	return values
}
