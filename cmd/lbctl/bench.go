package main

import (
	"github.com/spf13/cobra"

	"lbctl/testbed/experiment"
	"lbctl/testbed/experiments/live"
	"lbctl/testbed/report"
)

func benchCommand(a *app) *cobra.Command {
	return noun(&cobra.Command{
		Use:   "bench",
		Short: "Measure how fast the load balancer is on this machine, beside others",
		Example: `  lbctl bench live --seconds 30
  lbctl bench peers --out /tmp/peers`,
	}, append(benchProcesses(a), benchLiveCommand(a), benchPeersCommand(a))...)
}

// benchmark is a measurement that is run like an experiment, with its parameters as flags.
type benchmark struct {
	labRun
	trial experiment.Trial
}

func benchLiveCommand(a *app) *cobra.Command {
	return a.benchCommand(benchmark{trial: live.New()}, &cobra.Command{
		Use:   "live",
		Short: "Count live frames through the load balancer, beside a bare redirect",
		Long: `Put live frames into a veth that the load balancer serves, and count those that come out of
another, in network namespaces of its own; in turns with a program that only redirects. The
exit code is 1 when the balancer does not reach its share of the bare rate, or a frame is lost.
It needs root.`,
		Example: `  lbctl bench live
  lbctl bench live --seconds 60 --out /tmp/live -o json`,
	})
}

// benchCommand makes the command of a benchmark: a flag for each of its parameters.
func (a *app) benchCommand(b benchmark, c *cobra.Command) *cobra.Command {
	c.Args = takes()
	c.Flags().StringVar(&b.out, "out", "", "write report.html, report.json and the figures to this folder")
	c.Flags().Uint64Var(&b.seed, "seed", 1, "what decides everything that is chosen at random")
	c.Flags().BoolVarP(&b.verbose, "verbose", "v", false, "log what is done")
	b.format = outputFlag(c)
	for _, p := range b.trial.Parameters().List() {
		c.Flags().String(p.Name, p.Default, p.Help)
		if p.Default == "false" { // a switch
			c.Flag(p.Name).NoOptDefVal = "true"
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		for _, p := range b.trial.Parameters().List() {
			b.set = append(b.set, p.Name+"="+c.Flag(p.Name).Value.String())
		}
		return a.bench(c, &b)
	}
	return c
}

// bench runs a benchmark, prints its tables and its checks, and writes the report if one is wanted.
func (a *app) bench(c *cobra.Command, b *benchmark) error {
	for _, assignment := range b.set {
		if err := b.trial.Parameters().Set(assignment); err != nil {
			return adviseBench(c, err)
		}
	}
	env, err := a.labEnvironment(&b.labRun)
	if err != nil {
		return err
	}
	outcome, err := b.trial.Run(c.Context(), env)
	if err != nil {
		return adviseBench(c, err)
	}
	if b.out != "" {
		if err := report.Write(b.out, outcome.Result, outcome.Figures); err != nil {
			return advise(err, "name another folder with --out")
		}
	}
	if err := a.showBench(*b.format, outcome.Result, b.out); err != nil {
		return err
	}
	if !outcome.Result.Pass {
		return &failure{code: exitFailed, what: outcome.Result.Experiment + ": a check failed", hint: "see which above; a machine that does other work meanwhile is no place to measure"}
	}
	return nil
}

// showBench prints the tables before the summary; a script gets the result.
func (a *app) showBench(f format, r report.Result, dir string) error {
	if f == formatTable {
		for _, t := range r.Tables {
			if err := writeTable(a.stdout, t); err != nil {
				return err
			}
		}
	}
	return a.summarise(f, r, dir)
}
