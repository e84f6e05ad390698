package nic

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
	"lbctl/rss/replay"
)

// tableCommands returns what sets a table on an interface.
func tableCommands(iface string, table rss.Table, queues int, same bool) []string {
	if same {
		return []string{"# nothing to do"}
	}
	if plan, ok := simpleTable(table); ok {
		return ethtool.Change{Table: &plan}.Commands(iface)
	}
	request, _ := json.Marshal(map[string]any{ // strings and numbers can be marshalled
		"header": map[string]string{"dev-name": iface}, "indir": table,
	})
	return []string{
		fmt.Sprintf("# %d entries over %d queues, Linux 6.17 or later; ynl is in tools/net/ynl of its sources:", len(table), queues),
		fmt.Sprintf("ynl --family ethtool --do rss-set --json '%s'", request),
	}
}

// simpleTable returns how ethtool -X makes a table; false when it cannot: entries are neither in
// turn nor in runs.
func simpleTable(table rss.Table) (rss.TablePlan, bool) {
	queues := table.Queues()
	equal := rss.TablePlan{Equal: queues}
	if made, err := equal.Build(len(table), queues); err == nil && slices.Equal(made, table) {
		return equal, true
	}
	if !slices.IsSorted(table) {
		return rss.TablePlan{}, false
	}
	weights := rss.TablePlan{Weights: make([]int, queues)}
	for _, q := range table {
		weights.Weights[q]++
	}
	made, err := weights.Build(len(table), queues)
	return weights, err == nil && slices.Equal(made, table)
}

// bestWeights returns the best table that ethtool -X weight can make.
func bestWeights(p balance.Problem, iface string) *planWeights {
	loads := make([]uint64, len(p.Buckets))
	for i, b := range p.Buckets {
		loads[i] = b.Load
	}
	fixed := append(slices.Clone(p.Fixed), make([]uint64, p.Queues-len(p.Fixed))...)
	plan := rss.TablePlan{Weights: balance.Runs(loads, fixed)}
	table, err := plan.Build(len(p.Table), p.Queues)
	if err != nil { // more queues than ethtool can weigh
		return nil
	}
	return &planWeights{
		Command: ethtool.Change{Table: &plan}.Commands(iface)[0],
		MaxMean: balance.MaxMean(loadsUnder(p, table)), Moved: movedBetween(p, table),
	}
}

// whatIf is a plan for another set-up.
type whatIf struct {
	Name string `json:"name"`
	// Moved is what comes to another queue as soon as the set-up is changed.
	Moved replay.Load `json:"moved"`
	// MaxMean is the imbalance with the table that the set-up comes with, Planned with the best one.
	MaxMean float64   `json:"max_mean"`
	Planned float64   `json:"planned_max_mean"`
	Table   rss.Table `json:"table"`
	// Commands change the set-up, TableCommands the table then.
	Commands      []string `json:"commands"`
	TableCommands []string `json:"table_commands"`
}

func newWhatIf(c *replay.Compared, f *planFlag) (whatIf, error) {
	o := c.Observed()
	p := problem(o, f.by, ^uint64(0))
	best, err := balance.Rebalance(p)
	if err != nil {
		return whatIf{}, err
	}
	w := whatIf{
		Name: c.Name, Moved: c.Moved, Table: best.Table,
		MaxMean: balance.MaxMean(loadsUnder(p, p.Table)), Planned: balance.MaxMean(best.Loads),
	}
	w.Commands, err = f.commands(c.Name)
	w.TableCommands = tableCommands(f.iface, best.Table, o.Queues, best.Entries == 0)
	return w, err
}

// commands returns what changes the set-up of the flags to another, but for the table's entries.
func (f *planFlag) commands(words string) ([]string, error) {
	spec, err := f.with(words)
	if err != nil {
		return nil, err
	}
	now, err := f.config()
	if err != nil {
		return nil, err
	}
	then, err := spec.config()
	if err != nil {
		return nil, err
	}
	var list []string
	if spec.queues != f.queues {
		list = append(list, fmt.Sprintf("ethtool -L %s combined %d", f.iface, spec.queues))
	}
	if len(then.Table) != len(now.Table) {
		list = append(list, fmt.Sprintf("# a table of %d entries: a NIC with such a one, or a driver option", len(then.Table)))
	}
	if then.Function != now.Function {
		list = append(list, fmt.Sprintf("ethtool -X %s hfunc %v", f.iface, then.Function))
	}
	if then.Transform != now.Transform {
		list = append(list, fmt.Sprintf("ethtool -X %s xfrm %v", f.iface, then.Transform))
	}
	if then.Inner != now.Inner {
		list = append(list, fmt.Sprintf("# inner headers of %v: by the NIC's firmware or flow rules", then.Inner))
	}
	change := changed(now, then)
	change.Key = spec.hardwareKey(change.Key) // as the driver takes it
	return append(list, change.Commands(f.iface)...), nil
}

// changed returns the key and the fields that differ.
func changed(now, then nic.Config) ethtool.Change {
	var c ethtool.Change
	if !slices.Equal(now.Key, then.Key) {
		c.Key = then.Key
	}
	for _, t := range ethtool.FlowTypes() {
		before, after := fieldsOf(&now)[string(t)], fieldsOf(&then)[string(t)]
		if before != nil && *before != *after {
			c.Fields = append(c.Fields, ethtool.FieldsOf{Type: t, Fields: *after})
		}
	}
	return c
}

func (o *whatIf) print(w io.Writer) {
	fmt.Fprintf(w, "\nWhat if %s: max/mean %.3f at once, %.3f with a planned table (see -o json); %s.\n",
		o.Name, o.MaxMean, o.Planned, cli.Many(int(o.Moved.Flows), "flow")+" moved")
	for _, c := range o.Commands {
		fmt.Fprintln(w, c)
	}
}
