package show

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"lbctl/rss"
	"lbctl/rss/ethtool"
)

// tableColumns is how many entries ethtool -x prints on a line.
const tableColumns = 8

// showSettings prints the settings in ethtool's shape.
func showSettings(w io.Writer, s ethtool.Settings) {
	if s.Channels != nil {
		showChannels(w, s)
	}
	if !s.HasRSS() {
		fmt.Fprintln(w, s.Instead())
		return
	}
	fmt.Fprintf(w, "RX flow hash indirection table for %s with %d RX ring(s):\n", s.Interface, s.Queues)
	showTable(w, s.Table)
	fmt.Fprintf(w, "RSS hash key:\n%s\n", orNone(s.Key.String()))
	showSwitches(w, "RSS hash function:", rss.FunctionNames(), func(i int) bool { return slices.Contains(s.Functions, rss.Function(i)) })
	showSwitches(w, "RSS input transformation:", rss.TransformNames()[1:], func(i int) bool { return s.Transform&(1<<i) != 0 })
	fmt.Fprintln(w, "Hash fields:")
	for _, t := range ethtool.FlowTypes() {
		if f, ok := s.Fields[t]; ok {
			fmt.Fprintf(w, "    %s: %s\n", t, f)
		}
	}
	for _, c := range s.Contexts {
		showContext(w, s, c)
	}
}

// showContext prints the table of a context, and what else differs from the interface's.
func showContext(w io.Writer, s, c ethtool.Settings) {
	fmt.Fprintf(w, "RSS context %v:\n", c.Context)
	showTable(w, c.Table)
	if !slices.Equal(c.Key, s.Key) {
		fmt.Fprintf(w, "    key: %s\n", c.Key)
	}
	if !slices.Equal(c.Functions, s.Functions) || c.Transform != s.Transform {
		fmt.Fprintf(w, "    hash function: %v, input transformation: %v\n", c.Functions, c.Transform)
	}
	for _, t := range ethtool.FlowTypes() {
		if f, ok := c.Fields[t]; ok && f != s.Fields[t] {
			fmt.Fprintf(w, "    %s: %s\n", t, f)
		}
	}
}

func showChannels(w io.Writer, s ethtool.Settings) {
	fmt.Fprintf(w, "Channels of %s (of at most):\n", s.Interface)
	c := s.Channels
	for _, n := range []struct {
		name     string
		now, max int
	}{{"RX", c.RX, c.MaxRX}, {"TX", c.TX, c.MaxTX}, {"Other", c.Other, c.MaxOther}, {"Combined", c.Combined, c.MaxCombined}} {
		if n.max > 0 {
			fmt.Fprintf(w, "    %s: %d (%d)\n", n.name, n.now, n.max)
		}
	}
}

func showTable(w io.Writer, t rss.Table) {
	for i := 0; i < len(t); i += tableColumns {
		fmt.Fprintf(w, "%5d: ", i)
		for _, q := range t[i:min(i+tableColumns, len(t))] {
			fmt.Fprintf(w, " %5d", q)
		}
		fmt.Fprintln(w)
	}
}

func showSwitches(w io.Writer, title string, names []string, on func(int) bool) {
	fmt.Fprintln(w, title)
	for i, name := range names {
		state := "off"
		if on(i) {
			state = "on"
		}
		fmt.Fprintf(w, "    %s: %s\n", name, state)
	}
}

func orNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return "the driver does not report it"
	}
	return s
}
