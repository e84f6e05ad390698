package nic

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/replay"
)

// planFlag are the flags of lbctl rss plan.
type planFlag struct {
	*captureFlag
	buckets, budget, iface string
	whatIf                 []string
	format                 *cli.Format
}

func planCommand(a *cli.App) *cobra.Command {
	f := &planFlag{}
	c := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Plan the indirection table that cools the hottest queue, moving few flows",
		Long: `Plan an indirection table from what the entries of the present one brought: the load of the
hottest queue is made least, within a budget of flows that may move to another queue. Nothing is set:
the commands are printed.

What was observed is a capture FILE that is replayed, or --buckets: JSON as lbctl rss replay -o json
prints it, of which "buckets" is needed. The load is of packets; see --by.

ethtool -X can only deal entries out in turn or in runs. A table that is neither needs netlink (Linux
6.17 or later); the best that ethtool can set is printed beside it.

--what-if takes the words of lbctl rss replay --compare, and needs a capture.`,
		Example: `  lbctl rss plan capture.pcap --queues 8
  lbctl rss plan capture.pcap --queues 8 --budget 5% --interface eth0
  lbctl rss replay capture.pcap -o json | lbctl rss plan --buckets - -o json
  lbctl rss plan capture.pcap --what-if queues=16 --what-if table=512 --what-if udp4=sdfn,udp6=sdfn`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && !c.Flags().Changed("buckets") {
				return cli.Usage(c, "missing FILE or --buckets")
			}
			if len(args) == 1 && c.Flags().Changed("buckets") {
				return cli.Usage(c, "FILE and --buckets: want one of them")
			}
			if len(args) > 1 {
				return cli.Usage(c, "unexpected argument %q", args[1])
			}
			return nil
		},
	}
	f.captureFlag = captureFlags(c)
	c.Flags().StringVar(&f.buckets, "buckets", "", "JSON of what the entries brought, - for stdin")
	c.Flags().StringVar(&f.budget, "budget", "100%", "how many flows may move: a number, or a percentage of all")
	c.Flags().StringVar(&f.iface, "interface", "eth0", "the interface that the commands name")
	c.Flags().StringArrayVar(&f.whatIf, "what-if", nil, "another set-up to plan for, as name=value,...; may be repeated")
	f.format = cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error { return rssPlan(a, c, f, strings.Join(args, "")) }
	return c
}

func rssPlan(a *cli.App, c *cobra.Command, f *planFlag, name string) error {
	observed, others, err := observedLoad(a, c, f, name)
	if err != nil {
		return err
	}
	budget, err := parseBudget(f.budget, observed)
	if err != nil {
		return cli.Usage(c, "--budget: %v", err)
	}
	plan, err := newTablePlan(observed, f, budget)
	if err != nil {
		return err
	}
	for i := range others {
		other, err := newWhatIf(&others[i], f)
		if err != nil {
			return err
		}
		plan.WhatIf = append(plan.WhatIf, other)
	}
	return a.Print(*f.format, plan, plan.print)
}

// observedLoad reads or replays what is to be planned for.
func observedLoad(a *cli.App, c *cobra.Command, f *planFlag, name string) (replay.Observed, []replay.Compared, error) {
	o, err := f.options(c, "--what-if", f.whatIf)
	if err != nil {
		return replay.Observed{}, nil, err
	}
	if f.buckets == "" {
		found, err := replayCapture(a, c, name, o)
		if err != nil {
			return replay.Observed{}, nil, err
		}
		return found.Observed(), found.Compare, nil
	}
	if len(f.whatIf) > 0 {
		return replay.Observed{}, nil, cli.Usage(c, "--what-if: the flows are needed, and --buckets has none: name a capture")
	}
	in, _, err := a.OpenCapture(f.buckets)
	if err != nil {
		return replay.Observed{}, nil, err
	}
	defer in.Close()
	observed, err := replay.ReadObserved(in)
	if err != nil {
		return observed, nil, &cli.Failure{Code: cli.ExitUsage, What: f.buckets + ": " + err.Error(), Do: "give what lbctl rss replay -o json prints", Cause: err}
	}
	if c.Flags().Changed("queues") {
		observed.Queues = f.queues
	}
	return observed, nil, nil
}

// parseBudget reads "100" or "5%" of the flows observed.
func parseBudget(s string, o replay.Observed) (uint64, error) {
	percent, isShare := strings.CutSuffix(s, "%")
	if !isShare {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q: want a number of flows, or a percentage", s)
		}
		return n, nil
	}
	share, err := strconv.ParseFloat(percent, 64)
	if err != nil || !(share >= 0 && share <= 100) {
		return 0, fmt.Errorf("%q: want 0%% to 100%%", s)
	}
	if share == 100 {
		return math.MaxUint64, nil
	}
	flows := uint64(0)
	for _, b := range o.Buckets {
		flows += b.Flows
	}
	return uint64(share / 100 * float64(flows)), nil
}
