package lab

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/experiment"
	"lbctl/testbed/experiments/live"
	"lbctl/testbed/report"
)

func benchCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "bench",
		Short: "Measure how fast the load balancer is on this machine, beside others",
		Example: `  lbctl bench live --seconds 30
  lbctl bench peers --out /tmp/peers`,
	}, benchLiveCommand(a), benchPeersCommand(a))
}

// benchmark is a measurement that is run like an experiment, with its parameters as flags.
type benchmark struct {
	labRun
	trial *experiment.Trial
}

func benchLiveCommand(a *cli.App) *cobra.Command {
	return benchmarkCommand(a, benchmark{trial: live.Experiment().Trial()}, &cobra.Command{
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

// benchmarkCommand makes the command of a benchmark: a flag for each of its parameters.
func benchmarkCommand(a *cli.App, b benchmark, c *cobra.Command) *cobra.Command {
	c.Args = cli.Takes()
	c.Flags().StringVar(&b.out, "out", "", "write report.html, report.json and the figures to this folder")
	c.Flags().Uint64Var(&b.seed, "seed", 1, "what decides everything that is chosen at random")
	c.Flags().BoolVarP(&b.verbose, "verbose", "v", false, "log what is done")
	b.format = cli.OutputFlag(c)
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
		return runBench(a, c, &b)
	}
	return c
}

// runBench runs a benchmark, prints its tables and its checks, and writes the report if one is wanted.
func runBench(a *cli.App, c *cobra.Command, b *benchmark) error {
	for _, assignment := range b.set {
		if err := b.trial.Parameters().Set(assignment); err != nil {
			return adviseBench(c, err)
		}
	}
	env, err := labEnvironment(a, &b.labRun)
	if err != nil {
		return err
	}
	outcome, err := b.trial.Run(c.Context(), env)
	if err != nil {
		return adviseBench(c, err)
	}
	if b.out != "" {
		if err := report.Write(b.out, outcome.Result, outcome.Figures); err != nil {
			return cli.Advise(err, "name another folder with --out")
		}
	}
	if err := showBench(a, *b.format, outcome.Result, b.out); err != nil {
		return err
	}
	if !outcome.Result.Pass {
		what := ": a check failed"
		if outcome.Result.Outcome() == report.Undetermined {
			what = ": a check is undetermined"
		}
		return &cli.Failure{Code: cli.ExitFailed, What: outcome.Result.Experiment + what, Do: "see which above; a machine that does other work meanwhile is no place to measure"}
	}
	return nil
}

// showBench prints the tables before the summary; a script gets the result.
func showBench(a *cli.App, f cli.Format, r report.Result, dir string) error {
	if f == cli.FormatTable {
		for _, t := range r.Tables {
			if err := writeTable(a.Stdout, t); err != nil {
				return err
			}
		}
	}
	return summarise(a, f, r, dir)
}
