// Package advice says what to do about a NIC: the indirection table that evens out an observed load
// (balance.Rebalance has the algorithm), what it would move, and the commands of ethtool and ynl that set it or
// change the NIC to another setup. It runs none of them.
package advice

import (
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
	"lbctl/rss/setup"
)

// TableCommands returns the shell commands that set the indirection table of an interface.
func TableCommands(iface string, table rss.Table) []string {
	if plan, ok := EthtoolTable(table); ok {
		return ethtool.Change{Table: &plan}.Commands(iface, 0)
	}
	return ethtool.Change{Entries: table}.Commands(iface, 0)
}

// EthtoolTable returns the arguments of ethtool -X that make a table. It returns false when there are none:
// ethtool deals entries out in turn (equal) or in consecutive runs (weight) only.
func EthtoolTable(table rss.Table) (rss.TablePlan, bool) {
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

// SetupCommands returns the shell commands that change an interface from one setup to another. The entries of the
// table are left to TableCommands. What no command can change is a comment line.
func SetupCommands(iface string, from, to setup.Setup) ([]string, error) {
	now, err := from.Config()
	if err != nil {
		return nil, err
	}
	then, err := to.Config()
	if err != nil {
		return nil, err
	}
	var list []string
	add := func(differs bool, format string, args ...any) {
		if differs {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(to.Queues != from.Queues, "ethtool -L %s combined %d", iface, to.Queues)
	add(len(then.Table) != len(now.Table), "# a table of %d entries: a NIC that has one of this size, or a driver option", len(then.Table))
	add(then.Function != now.Function, "ethtool -X %s hfunc %v", iface, then.Function)
	add(then.Transform != now.Transform, "ethtool -X %s xfrm %v", iface, then.Transform)
	add(then.Inner != now.Inner, "# inner headers of %v: by the NIC's firmware or flow rules", then.Inner)
	add(then.DefaultQueue != now.DefaultQueue, "# packets without a hash to %v: a property of the NIC", then.DefaultQueue)
	change := keyAndFields(now, then)
	change.Key = to.HardwareKey(change.Key) // in the byte order that the driver takes
	return append(list, change.Commands(iface, 0)...), nil
}

// keyAndFields returns the key and the hash fields that differ.
func keyAndFields(now, then nic.Config) ethtool.Change {
	var c ethtool.Change
	if !slices.Equal(now.Key, then.Key) {
		c.Key = then.Key
	}
	before, after := map[string]rss.Fields{}, map[string]rss.Fields{}
	for i, set := range now.FieldSets() {
		before[set.Name], after[set.Name] = *set.Fields, *then.FieldSets()[i].Fields
	}
	for _, t := range ethtool.FlowTypes() { // in ethtool's order
		if name := string(t); before[name] != after[name] {
			c.Fields = append(c.Fields, ethtool.FieldsOf{Type: t, Fields: after[name]})
		}
	}
	return c
}
