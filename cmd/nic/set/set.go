// Package set has the command lbctl rss set, which changes the RSS settings of an interface.
package set

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/setup"
)

// flags are those of lbctl rss set.
type flags struct {
	equal, start int
	weight       []int
	reset        bool
	key          string
	fields       []string
	fill         string
	function     string
	transform    string
	context      string
	remove       bool
	dryRun       bool
	flows        string
	observe      time.Duration
}

// Command is lbctl rss set.
func Command(a *cli.App) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "set IFACE",
		Short: "Set an interface's indirection table, key or hash fields",
		Long: `Set how an interface spreads received packets, as ethtool -X and ethtool -N rx-flow-hash do. The change is
checked against what the NIC has before it is made, and read back afterwards.

With --dry-run nothing is changed: the equivalent ethtool commands are printed. With flows it also says how
many of them move to another queue. Flows come from a short observation (--observe 5s) or from
a file (--flows FILE, one "tcp 192.0.2.1:1234 198.51.100.1:80" a line; - is stdin).

--context sets an additional RSS context, which has a table of its own and takes the packets of flow rules that name it
(ethtool -N IFACE flow-type tcp4 dst-port 80 context 1); "new" creates one, and --delete removes it. Few drivers have
them.`,
		Example: `  lbctl rss set eth0 --equal 8 --dry-run --observe 5s
  lbctl rss set eth0 --weight 3,1,1,1
  lbctl rss set eth0 --key symmetric --fields udp4=sdfn --fields udp6=sdfn
  lbctl rss set eth0 --fill @plan.json
  lbctl rss set eth0 --transform symmetric-xor --function toeplitz
  lbctl rss set eth0 --context new --start 4 --equal 4
  lbctl rss set eth0 --default`,
		Args: cli.Takes("IFACE"),
	}
	c.Flags().IntVar(&f.equal, "equal", 0, "spread evenly over this many queues")
	c.Flags().IntSliceVar(&f.weight, "weight", nil, "spread by weights, one for each queue: 3,1,1,1")
	c.Flags().IntVar(&f.start, "start", 0, "the first queue of --equal or --weight")
	c.Flags().BoolVar(&f.reset, "default", false, "the driver's default table")
	c.Flags().StringVar(&f.fill, "fill", "", "@FILE: the whole table, from what ethtool -x or lbctl rss plan -o json prints")
	c.Flags().StringVar(&f.function, "function", "", "hash function: "+strings.Join(rss.FunctionNames(), ", "))
	c.Flags().StringVar(&f.transform, "transform", "", "input transform: "+strings.Join(rss.TransformNames(), ", "))
	c.Flags().StringVar(&f.key, "key", "", "RSS key: hexadecimal digits, @FILE with them, or a name: ms, symmetric")
	c.Flags().StringArrayVar(&f.fields, "fields", nil, "hash fields of a flow type, as in udp4=sdfn; may be repeated")
	c.Flags().StringVar(&f.context, "context", "", "an additional RSS context: its number, or new")
	c.Flags().BoolVar(&f.remove, "delete", false, "delete the context")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "change nothing, show what would change")
	c.Flags().StringVar(&f.flows, "flows", "", "file of flows, to count those that move")
	c.Flags().DurationVar(&f.observe, "observe", 0, "observe the interface this long, to count the flows that move")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		change, err := f.change(c)
		if err != nil {
			return err
		}
		of, err := f.contextOf(c, change)
		if err != nil {
			return err
		}
		said, err := apply(a, c, f, args[0], of, change)
		if err != nil {
			return err
		}
		return a.Print(*output, said, said.show)
	}
	return c
}

// change reads the flags, without regard to the NIC.
func (f *flags) change(c *cobra.Command) (change ethtool.Change, err error) {
	if f.observe < 0 {
		return change, cli.Usage(c, "--observe: %v is negative", f.observe)
	}
	if change.Table, err = f.plan(c); err != nil {
		return change, err
	}
	if err := f.whole(c, &change); err != nil {
		return change, err
	}
	for _, text := range f.fields {
		one, err := ethtool.ParseFieldsOf(text)
		if err != nil {
			return change, cli.Usage(c, "--fields: %v", err)
		}
		change.Fields = append(change.Fields, one)
	}
	if change.IsZero() && f.context != ethtool.NewContext.String() && !f.remove {
		return change, cli.Usage(c, "nothing to set: want --equal, --weight, --default, --fill, --key, --function, --transform or --fields")
	}
	if f.observe > 0 && f.flows != "" {
		return change, cli.Usage(c, "--observe and --flows: want one of the two")
	}
	return change, nil
}

// whole reads the flags of the key, the function, the transform and the whole table.
func (f *flags) whole(c *cobra.Command, change *ethtool.Change) (err error) {
	if f.key != "" {
		if change.Key, err = setup.ParseKey(f.key); err != nil {
			return cli.Usage(c, "--key: %v", err)
		}
	}
	if f.function != "" {
		function, err := rss.ParseFunction(f.function)
		if err != nil {
			return cli.Usage(c, "--function: %v", err)
		}
		change.Function = &function
	}
	if f.transform != "" {
		transform, err := rss.ParseTransform(f.transform)
		if err != nil {
			return cli.Usage(c, "--transform: %v", err)
		}
		change.Transform = &transform
	}
	name, isFile := strings.CutPrefix(f.fill, "@")
	switch {
	case f.fill == "":
		return nil
	case !isFile:
		return cli.Usage(c, "--fill: %q: want @FILE (else --equal or --weight)", f.fill)
	case change.Table != nil:
		return cli.Usage(c, "--fill and --equal, --weight or --default: want one of them")
	}
	if change.Entries, _, err = setup.ReadTable(name); err != nil {
		return cli.Usage(c, "--fill: %v", err)
	}
	return nil
}

// plan reads the flags that fill the table; nil leaves it as it is.
func (f *flags) plan(c *cobra.Command) (*rss.TablePlan, error) {
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
	case weight && slices.Min(f.weight) < 0:
		return nil, cli.Usage(c, "--weight: %d: want 0 or more", slices.Min(f.weight))
	case !equal && !weight && !f.reset:
		return nil, nil
	}
	return &rss.TablePlan{Start: f.start, Equal: f.equal, Weights: f.weight}, nil
}

// apply checks a change, says what it does, and makes it unless this is a dry run.
func apply(a *cli.App, c *cobra.Command, f *flags, name string, of ethtool.Context, change ethtool.Change) (*answer, error) {
	before, err := a.NICs.Read(name)
	if err != nil {
		return nil, cli.AdviseInterface(err)
	}
	if !before.HasRSS() {
		return nil, cli.AdviseInterface(fmt.Errorf("set rss of %s: %w: %s", name, ethtool.ErrNoRSS, before.Instead()))
	}
	if of != 0 {
		return applyContext(a, c, f, before, of, change)
	}
	after, err := before.After(change)
	if err != nil {
		return nil, cli.Usage(c, "set rss of %s: %v", name, err)
	}
	said := describe(name, before, after, change)
	said.DryRun = f.dryRun
	flows, err := f.liveFlows(a, c, name)
	if err != nil {
		return nil, err
	}
	if err := said.count(flows, before, after); err != nil {
		return nil, err
	}
	if f.dryRun {
		return said, nil
	}
	if err := a.NICs.Apply(before, change); err != nil {
		return nil, cli.AdviseInterface(err)
	}
	got, err := a.NICs.Read(name)
	return said, confirm(got, err, after, change)
}

// confirm compares with the settings that were read back, because a driver may accept a setting and not keep it.
func confirm(got ethtool.Settings, err error, want ethtool.Settings, change ethtool.Change) error {
	if err != nil {
		return cli.AdviseInterface(err)
	}
	if what := differs(want, got, change); what != "" {
		return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("set rss of %s: the driver accepted the %s, but reports another", want.Interface, what), Do: "see lbctl rss show " + want.Interface}
	}
	return nil
}

// differs names the part of a change that the driver did not keep; empty if it kept all.
func differs(want, got ethtool.Settings, change ethtool.Change) string {
	switch {
	case change.Key != nil && !slices.Equal(want.Key, got.Key):
		return "key"
	case change.Entries != nil && !slices.Equal(want.Table, got.Table):
		return "table"
	case change.Function != nil && !slices.Equal(want.Functions, got.Functions):
		return "hash function"
	case change.Transform != nil && want.Transform != got.Transform:
		return "input transform"
	case change.Table != nil && (change.Table.Equal != 0 || change.Table.Weights != nil) && !slices.Equal(want.Table, got.Table):
		return "table" // the driver chooses the default table
	}
	for _, f := range change.Fields {
		if got.Fields[f.Type] != f.Fields {
			return "hash fields of " + string(f.Type)
		}
	}
	return ""
}
