package nic

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/ethtool"
)

// setFlag are the flags of rss set.
type setFlag struct {
	equal, start int
	weight       []int
	reset        bool
	key          string
	fields       *cli.FieldFlag
	dryRun       bool
	flows        string
	observe      time.Duration
}

func setCommand(a *cli.App, nics cli.Interfaces) *cobra.Command {
	f := &setFlag{}
	c := &cobra.Command{
		Use:   "set IFACE",
		Short: "Set an interface's indirection table, key or hash fields",
		Long: `Set how an interface spreads what it receives, as ethtool -X and ethtool -N rx-flow-hash do. All is checked
against what the NIC has before anything is changed, and read back after.

With --dry-run nothing is changed: the equivalent ethtool commands are printed, and how many live flows would
move to another queue, where they are known: from a short observation (--observe 5s) or
a file (--flows FILE, one "tcp 192.0.2.1:1234 198.51.100.1:80" a line; - is stdin).`,
		Example: `  lbctl rss set eth0 --equal 8 --dry-run --observe 5s
  lbctl rss set eth0 --weight 3,1,1,1
  lbctl rss set eth0 --key symmetric --fields udp4=sdfn --fields udp6=sdfn
  lbctl rss set eth0 --default`,
		Args: cli.Takes("IFACE"),
	}
	c.Flags().IntVar(&f.equal, "equal", 0, "spread evenly over so many queues")
	c.Flags().IntSliceVar(&f.weight, "weight", nil, "spread by weights, one for each queue: 3,1,1,1")
	c.Flags().IntVar(&f.start, "start", 0, "the first queue of --equal or --weight")
	c.Flags().BoolVar(&f.reset, "default", false, "the driver's default table")
	c.Flags().StringVar(&f.key, "key", "", "RSS key: hexadecimal digits, or a name: ms, symmetric")
	f.fields = cli.FieldFlags(c, "hash fields of a kind of packets, as in udp4=sdfn; may be repeated")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "change nothing, say what would be")
	c.Flags().StringVar(&f.flows, "flows", "", "a file of flows, to say how many would move")
	c.Flags().DurationVar(&f.observe, "observe", 0, "observe the interface so long, to say how many flows would move")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		change, err := f.change(c)
		if err != nil {
			return err
		}
		answer, err := setRSS(a, c, f, nics, args[0], change)
		if err != nil {
			return err
		}
		return a.Print(*output, answer, answer.show)
	}
	return c
}

// change reads the flags; what the NIC has is not looked at.
func (f *setFlag) change(c *cobra.Command) (change ethtool.Change, err error) {
	if change.Table, err = f.plan(c); err != nil {
		return change, err
	}
	if f.key != "" {
		if change.Key, err = rss.ParseKey(f.key); err != nil {
			return change, cli.Usage(c, "--key: %v", err)
		}
	}
	if change.Fields, err = f.fields.Parse(c); err != nil {
		return change, err
	}
	if change.IsZero() {
		return change, cli.Usage(c, "nothing to set: want --equal, --weight, --default, --key or --fields")
	}
	if f.observe < 0 {
		return change, cli.Usage(c, "--observe: %v is negative", f.observe)
	}
	if f.observe > 0 && f.flows != "" {
		return change, cli.Usage(c, "--observe and --flows: want one of the two")
	}
	return change, nil
}

// plan reads the flags that fill the table; nil leaves it as it is.
func (f *setFlag) plan(c *cobra.Command) (*rss.TablePlan, error) {
	equal, weight := c.Flags().Changed("equal"), c.Flags().Changed("weight")
	switch {
	case equal && weight, equal && f.reset, weight && f.reset:
		return nil, cli.Usage(c, "--equal, --weight and --default: want one of them")
	case c.Flags().Changed("start") && !equal && !weight:
		return nil, cli.Usage(c, "--start: want --equal or --weight with it")
	case equal && f.equal < 1:
		return nil, cli.Usage(c, "--equal: %d queues: want at least 1", f.equal)
	case weight && len(f.weight) == 0:
		return nil, cli.Usage(c, "--weight: want one weight for each queue: 3,1,1,1")
	case !equal && !weight && !f.reset:
		return nil, nil
	}
	return &rss.TablePlan{Start: f.start, Equal: f.equal, Weights: f.weight}, nil
}

// setRSS checks a change, says what it does, and makes it unless this is a dry run.
func setRSS(a *cli.App, c *cobra.Command, f *setFlag, nics cli.Interfaces, name string, change ethtool.Change) (*setAnswer, error) {
	before, err := nics.Read(name)
	if err != nil {
		return nil, cli.AdviseInterface(err)
	}
	if !before.HasRSS() {
		return nil, cli.AdviseInterface(fmt.Errorf("set rss of %s: %w: %s", name, ethtool.ErrNoRSS, before.Instead()))
	}
	after, err := before.After(change)
	if err != nil {
		return nil, cli.Usage(c, "set rss of %s: %v", name, err)
	}
	answer := describe(name, before, after, change)
	answer.DryRun = f.dryRun
	flows, err := liveFlows(a, c, f, name)
	if err != nil {
		return nil, err
	}
	if err := answer.count(flows, before, after); err != nil {
		return nil, err
	}
	if f.dryRun {
		return answer, nil
	}
	if err := nics.Apply(before, change); err != nil {
		return nil, cli.AdviseInterface(err)
	}
	return answer, confirm(nics, after, change)
}

// confirm reads the settings back: a driver may take a setting and not keep it.
func confirm(nics cli.Interfaces, want ethtool.Settings, change ethtool.Change) error {
	got, err := nics.Read(want.Interface)
	if err != nil {
		return cli.AdviseInterface(err)
	}
	if what := differs(want, got, change); what != "" {
		return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("set rss of %s: the driver took the %s, but now tells another", want.Interface, what), Do: "see lbctl rss show " + want.Interface}
	}
	return nil
}

// differs names what of a change is not so in the settings that the driver tells; empty if all is.
func differs(want, got ethtool.Settings, change ethtool.Change) string {
	switch {
	case change.Key != nil && !slices.Equal(want.Key, got.Key):
		return "key"
	case change.Table != nil && (change.Table.Equal != 0 || change.Table.Weights != nil) && !slices.Equal(want.Table, got.Table):
		return "table" // the default is the driver's to choose
	}
	for _, f := range change.Fields {
		if got.Fields[f.Type] != f.Fields {
			return "hash fields of " + string(f.Type)
		}
	}
	return ""
}
