// Package plan has the command lbctl rss plan: a better indirection table for an observed load.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/advice"
	"lbctl/rss/ethtool"
	"lbctl/rss/replay"
)

// flags are those of lbctl rss plan.
type flags struct {
	*cli.ReplayFlags
	buckets, budget string
	whatIf          []string
	apply           bool
	out             string
	output          *cli.Format
}

// Command is lbctl rss plan.
func Command(a *cli.App) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Plan the indirection table that relieves the busiest queue and moves few flows",
		Long: `Plan an indirection table from the load that was observed on each entry of the present one. The plan
minimises the load of the busiest queue, within a budget of flows that may move to another queue. The commands
that set the table are printed; --apply sets it, by netlink where the kernel can (Linux 6.17), else by ioctl.

The load comes from a capture FILE, which is replayed, or from --buckets: the JSON of lbctl rss replay -o json,
of which "buckets" is needed. --by says whether packets or bytes count.

ethtool -X can deal entries out in turn or in consecutive runs only. Any other table is set by --apply, or by netlink (Linux
6.17 or later); the best table that ethtool can set is printed as well.

--what-if plans for another setup, in the words of lbctl rss replay --compare. It needs a capture.`,
		Example: `  lbctl rss plan capture.pcap --queues 8
  lbctl rss plan capture.pcap --queues 8 --budget 5% --interface eth0
  lbctl rss plan capture.pcap --queues 8 --out /tmp/plan
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
	f.ReplayFlags = cli.NewReplayFlags(c, cli.RealNIC+"; and the name in the commands")
	c.Flags().StringVar(&f.buckets, "buckets", "", "file with the observed load of the entries as JSON; - is stdin")
	c.Flags().StringVar(&f.budget, "budget", "100%", "how many flows may move: a number, or a percentage of all")
	c.Flags().StringArrayVar(&f.whatIf, "what-if", nil, "also plan for another setup, as name=value,...; may be repeated")
	c.Flags().BoolVar(&f.apply, "apply", false, "set the planned table on --interface, and read it back")
	c.Flags().StringVar(&f.out, "out", "", "write report.html, report.json and pictures of before and after to this folder")
	f.output = cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error { return run(a, c, f, strings.Join(args, "")) }
	return c
}

func run(a *cli.App, c *cobra.Command, f *flags, name string) error {
	if f.buckets == "" {
		if err := f.resolve(a, c); err != nil {
			return err
		}
	}
	observed, others, err := f.observed(a, c, name)
	if err != nil {
		return err
	}
	budget, err := advice.ParseBudget(f.budget, observed)
	if err != nil {
		return cli.Usage(c, "--budget: %v", err)
	}
	request := advice.Request{Interface: cmp.Or(f.Interface, "eth0"), Measure: f.By, Budget: budget}
	plan, err := advice.New(observed, request)
	if errors.Is(err, advice.ErrNoLoad) {
		return &cli.Failure{Code: cli.ExitUsage, What: err.Error(), Do: "observe some traffic", Cause: err}
	} else if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, What: err.Error(), Do: "see --queues", Cause: err}
	}
	for i := range others {
		to, err := f.With(others[i].Name)
		if err != nil {
			return cli.Usage(c, "--what-if: %v", err)
		}
		other, err := advice.NewWhatIf(&others[i], *f.Setup, to, request)
		if err != nil {
			return err
		}
		plan.WhatIf = append(plan.WhatIf, other)
	}
	if f.apply {
		if err := f.set(a, c, plan); err != nil {
			return err
		}
	}
	if f.out != "" {
		if err := f.write(cmp.Or(name, f.buckets), observed, plan); err != nil {
			return err
		}
	}
	return a.Print(*f.output, plan, printer{plan}.print)
}

// set sets the planned table on the interface and reads it back.
func (f *flags) set(a *cli.App, c *cobra.Command, plan *advice.Plan) error {
	if f.Interface == "" {
		return cli.Usage(c, "--apply: want --interface")
	}
	before, err := a.NICs.Read(f.Interface)
	if err != nil {
		return cli.AdviseInterface(err)
	}
	change := ethtool.Change{Entries: plan.Table}
	if _, err := before.After(change); err != nil {
		return cli.Usage(c, "--apply: %v", err)
	}
	if err := a.NICs.Apply(before, change); err != nil {
		return cli.AdviseInterface(err)
	}
	after, err := a.NICs.Read(f.Interface)
	if err != nil {
		return cli.AdviseInterface(err)
	}
	if !slices.Equal(after.Table, plan.Table) {
		return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("set rss of %s: the driver accepted the table, but reports another", f.Interface), Do: "see lbctl rss show " + f.Interface}
	}
	plan.Applied = true
	return nil
}

// resolve reads the settings of --interface. The interface may be another machine's if other flags describe the NIC.
func (f *flags) resolve(a *cli.App, c *cobra.Command) error {
	err := f.Resolve(a, c)
	described := slices.ContainsFunc([]string{"profile", "key", "queues", "table", "fill", "function", "fields"}, c.Flags().Changed)
	if !errors.Is(err, ethtool.ErrNoInterface) || !described {
		return err
	}
	name := f.Interface
	f.Interface = ""
	err = f.Resolve(a, c)
	f.Interface = name
	return err
}

// observed returns the load to plan for, from --buckets or from a replay, and the replays of --what-if.
func (f *flags) observed(a *cli.App, c *cobra.Command, name string) (replay.Observed, []replay.Compared, error) {
	o, err := f.Options(c, "--what-if", f.whatIf)
	if err != nil {
		return replay.Observed{}, nil, err
	}
	if f.buckets == "" {
		found, err := a.Replay(c, name, o)
		if err != nil {
			return replay.Observed{}, nil, err
		}
		a.WarnReplay(name, found)
		return found.Observed(), found.Compare, nil
	}
	if len(f.whatIf) > 0 {
		return replay.Observed{}, nil, cli.Usage(c, "--what-if: --buckets has no flows: name a capture")
	}
	in, _, err := a.OpenInput(f.buckets)
	if err != nil {
		return replay.Observed{}, nil, err
	}
	defer in.Close()
	observed, err := replay.ReadObserved(in)
	if err != nil {
		return observed, nil, &cli.Failure{Code: cli.ExitUsage, What: f.buckets + ": " + err.Error(), Do: "give what lbctl rss replay -o json prints", Cause: err}
	}
	if c.Flags().Changed("queues") {
		observed.Queues = f.Queues
	}
	return observed, nil, nil
}
