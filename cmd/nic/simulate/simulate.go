// Package simulate has the command lbctl rss simulate: rings, interrupts and cores behind the queues of a NIC.
package simulate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/sim"
)

// Command is lbctl rss simulate.
func Command(a *cli.App) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate rings, interrupts and cores behind a NIC's queues",
		Long: `Simulate what happens to packets behind a NIC's classifier: rings, interrupts and their moderation,
NAPI, ksoftirqd or busy polling, and the application on the same cores. Print the packets delivered and
dropped, their latency, and what the cores spend their time on. No packet is sent; time is virtual; the
same seed gives the same numbers.

A load of 1 keeps the cores busy with packet work (--packet-cost) and application (--app-cost) alone.
Interrupts, polls and context switches come on top, depending on the mode:
  interrupt  one interrupt per packet, which does the packet work (before NAPI)
  napi       polls in softirq context after an interrupt, then in ksoftirqd (Linux's default)
  threaded   polls in a thread that shares the core (/sys/class/net/IFACE/threaded)
  busypoll   the application polls while it is awake (SO_PREFER_BUSY_POLL)
The costs are assumptions; measure and set your own where their ratio matters. Latency is from arrival
to the end of the application's work, within 0.8 %.

--pcap takes the packets of a capture, at their own times, or with --load or --rate with all gaps scaled to that
rate.

--sweep NAME=FROM..TO:STEPS repeats the simulation for values of a numeric flag, one row each.`,
		Example: `  lbctl rss simulate --load 0.5 --queues 4
  lbctl rss simulate --mode interrupt,napi,threaded,busypoll --sweep load=0.1..1.5:15 --out /tmp/simulate
  lbctl rss simulate --sweep usecs=0..100:11 --frames 0 --load 0.2
  lbctl rss simulate --pcap traffic.pcap --load 0.7 --queues 8
  lbctl rss simulate --traffic elephants --queues 8 --load 0.6 -o json`,
		Args: cli.Takes(),
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return simulate(a, c, f) }
	return c
}

func simulate(a *cli.App, c *cobra.Command, f *flags) error {
	modes, err := f.modes(c)
	if err != nil {
		return err
	}
	sweep, err := parseSweep(c, f.sweep)
	if err != nil {
		return err
	}
	parameters := flagValues(c)
	all := answer{Seed: f.seed, Parameter: sweep.name, Runs: []run{}}
	progress := a.ProgressBar()
	progress.Begin(len(modes) * len(sweep.values))
	defer progress.End()
	for _, mode := range modes {
		for _, value := range sweep.values {
			progress.Step(strings.TrimSpace(fmt.Sprintf("%s %s %s", mode, sweep.name, value)))
			progress.At(len(all.Runs))
			one, err := f.run(a, c, mode, sweep.name, value)
			if err != nil {
				return err
			}
			all.Runs = append(all.Runs, one)
		}
	}
	if f.out != "" {
		if err := write(f.out, parameters, all); err != nil {
			return cli.Advise(err, "name another folder with --out")
		}
	}
	return a.Print(*f.output, all, all.print)
}

// modes returns the modes of --mode, each once.
func (f *flags) modes(c *cobra.Command) ([]sim.Mode, error) {
	var modes []sim.Mode
	for _, name := range f.mode {
		mode, err := sim.ParseMode(strings.TrimSpace(name))
		if err != nil {
			var names []string
			for _, m := range sim.Modes() {
				names = append(names, string(m))
			}
			return nil, cli.Usage(c, "--mode: %v", err).OrNearest(name, names, "--mode ")
		}
		if !slices.Contains(modes, mode) {
			modes = append(modes, mode)
		}
	}
	if len(modes) == 0 {
		return nil, cli.Usage(c, "--mode: none is named")
	}
	return modes, nil
}

// run sets a flag to a value, if it has a name, and simulates once.
func (f *flags) run(a *cli.App, c *cobra.Command, mode sim.Mode, name, value string) (run, error) {
	if name != "" {
		if err := c.Flags().Set(name, value); err != nil {
			return run{}, cli.Usage(c, "--sweep: %s=%s: %v", name, value, err)
		}
	}
	m, err := f.machine(a, c, mode)
	if err != nil {
		return run{}, err
	}
	result, err := sim.Run(c.Context(), m.config, m.arrivals)
	if err != nil {
		return run{}, err
	}
	return newRun(m, value, result), nil
}
