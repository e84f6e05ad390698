// Package lab has the commands that measure: demo, lab and bench, and the processes that experiments start in their
// network namespaces.
package lab

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/helper"
	"lbctl/testbed/lab"
)

// Commands returns the commands that measure.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{demoCommand(a), labCommand(a), benchCommand(a), testbedCommand(a)}
}

func demoCommand(a *cli.App) *cobra.Command {
	r := &labRun{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Balance real traffic, and write a report about it",
		Long: `Send real HTTP traffic through a simulated NIC and the load balancer to replicas, all in
network namespaces of its own, and check for every packet which queue, core and replica it came
to. This is the same as lbctl lab run ` + lab.Demo + `. It needs root and takes some 20 seconds.`,
		Example: `  lbctl demo --out /tmp/demo
  lbctl demo --set replicas=8 --set scheduler=maglev`,
		Args: cli.Takes(),
	}
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return runLab(a, c, r, lab.Demo) }
	return c
}

func labCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:     "lab",
		Short:   "Measure what textbooks claim, on this kernel",
		Example: `  lbctl lab run spread --out /tmp/spread`,
	}, labListCommand(a), labDescribeCommand(a), labRunCommand(a), labReportCommand(a), labCompareCommand(a))
}

func labRunCommand(a *cli.App) *cobra.Command {
	r := &labRun{}
	c := &cobra.Command{
		Use:   "run NAME|all",
		Short: "Run an experiment and write its report",
		Long: `Run an experiment in network namespaces of its own, and write report.html and report.json.
It needs root. The exit code is 1 when a check failed or is undetermined. The parameters of an experiment are
those that lbctl lab describe NAME lists; --set sets them.

With all, each report is in a folder of its own below --out, and index.html there is a front page over all of
them. An experiment that cannot run does not keep the others from running; the exit code is 1 then too.`,
		Example: `  lbctl lab run spread
  lbctl lab run spread --set connections=1000 --set requests=4000 --seed 7 -o json
  lbctl lab run all --out /tmp/reports
  lbctl lab run all --quick --out /tmp/reports
  lbctl lab run survive --full`,
		Args: cli.Takes("NAME"),
	}
	r.flags(c)
	c.Flags().StringVar(&r.predict, "predict", "", "a file of predictions, as lbctl lab describe NAME --handout writes it, to hold against what is measured")
	c.RunE = func(c *cobra.Command, args []string) error {
		if args[0] == "all" {
			return runAll(a, c, r)
		}
		return runLab(a, c, r, args[0])
	}
	return c
}

// testbedCommand runs the helper processes that experiments start in their namespaces.
func testbedCommand(a *cli.App) *cobra.Command {
	c := cli.Noun(&cobra.Command{
		Use:    helper.Command,
		Short:  "Processes that experiments start",
		Hidden: true,
	})
	for _, h := range lab.Helpers() {
		c.AddCommand(&cobra.Command{
			Use:  h.Name + " JSON",
			Args: cli.Takes("JSON"),
			RunE: func(c *cobra.Command, args []string) error { return h.Main(c.Context(), args[0], a.Stdin, a.Stdout) },
		})
	}
	return c
}
