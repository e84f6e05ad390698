package nic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/sim"
	"lbctl/testbed/lab"
	"lbctl/testbed/report"
)

func simulateCommand(a *cli.App) *cobra.Command {
	f := &simulateFlag{}
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate rings, interrupts and cores behind a NIC's queues",
		Long: `Simulate what happens to packets behind a NIC's classifier: rings, interrupts and their moderation,
NAPI, ksoftirqd or busy polling, and the application on the same cores. Says what is delivered and
dropped, how long it takes, and where the cores' time goes. Nothing is sent; time is virtual; the
same seed gives the same numbers.

A load of 1 is what the cores could do if packet work (--packet-cost) and application (--app-cost)
were all: interrupts, polls and context switches come on top, by mode:
  interrupt  one interrupt per packet, with the packet work in it (before NAPI)
  napi       polls in softirq context after an interrupt, then ksoftirqd (Linux as it comes)
  threaded   polls in a thread that shares the core (/sys/class/net/IFACE/threaded)
  busypoll   the application polls while it is awake (SO_PREFER_BUSY_POLL)
Costs are assumptions; measure and set your own where their ratio matters. Latency is from arrival
to the end of the application's work, within 0.8 %.

With --pcap the packets of a capture arrive, as fast as they came or, with --load or --rate,
faster or slower with all gaps in proportion.

--sweep NAME=FROM..TO:STEPS repeats it for values of a numeric flag, one row each.`,
		Example: `  lbctl rss simulate --load 0.5 --queues 4
  lbctl rss simulate --mode interrupt,napi,threaded,busypoll --sweep load=0.1..1.5:15 --out /tmp/simulate
  lbctl rss simulate --sweep usecs=0..100:11 --frames 0 --load 0.2
  lbctl rss simulate --pcap traffic.pcap --load 0.7 --queues 8
  lbctl rss simulate --traffic elephants --queues 8 --load 0.6 -o json`,
		Args: cli.Takes(),
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return rssSimulate(a, c, f) }
	return c
}

func rssSimulate(a *cli.App, c *cobra.Command, f *simulateFlag) error {
	modes, err := f.modes(c)
	if err != nil {
		return err
	}
	sweep, err := parseSweep(c, f.sweep)
	if err != nil {
		return err
	}
	parameters := flagValues(c)
	answer := simulateAnswer{Seed: f.seed, Parameter: sweep.name, Runs: []simulateRun{}}
	progress := func(string) {}
	if report.Terminal(a.Stderr) {
		bar := lab.NewProgress(a.Stderr, true)
		bar.Begin(len(modes) * len(sweep.values))
		defer bar.End()
		progress = func(what string) { bar.Step(what); bar.At(len(answer.Runs)) }
	}
	for _, mode := range modes {
		for _, value := range sweep.values {
			progress(strings.TrimSpace(fmt.Sprintf("%s %s %s", mode, sweep.name, value)))
			run, err := f.run(a, c, mode, sweep.name, value)
			if err != nil {
				return err
			}
			answer.Runs = append(answer.Runs, run)
		}
	}
	if f.report != "" {
		if err := writeSimulateReport(f.report, parameters, answer); err != nil {
			return cli.Advise(err, "name another folder with --out")
		}
	}
	return a.Print(f.format(), answer, answer.print)
}

// modes returns those named, each once.
func (f *simulateFlag) modes(c *cobra.Command) ([]sim.Mode, error) {
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

// run is one simulation, with one flag set to a value first.
func (f *simulateFlag) run(a *cli.App, c *cobra.Command, mode sim.Mode, name, value string) (simulateRun, error) {
	if name != "" {
		if err := c.Flags().Set(name, value); err != nil {
			return simulateRun{}, cli.Usage(c, "--sweep: %s=%s: %v", name, value, err)
		}
	}
	setup, err := f.setup(a, c, mode)
	if err != nil {
		return simulateRun{}, err
	}
	result, err := sim.Run(c.Context(), setup.config, setup.arrivals)
	if err != nil {
		return simulateRun{}, err
	}
	return newSimulateRun(setup, value, result), nil
}
