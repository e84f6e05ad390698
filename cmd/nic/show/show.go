// Package show has the commands that say what a NIC has: lbctl rss show of an interface, lbctl rss profiles of known drivers.
package show

import (
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/ethtool"
)

// settings are the RSS settings of an interface. Scripts rely on its JSON names.
type settings struct {
	Interface string            `json:"interface"`
	Driver    string            `json:"driver"`
	Queues    int               `json:"queue_count"`
	RSS       bool              `json:"has_rss"`
	Channels  *ethtool.Channels `json:"channels,omitempty"`
	// The rest is empty without RSS; Instead then says how the interface chooses a queue.
	Table     []rss.Queue       `json:"table,omitempty"`
	Key       string            `json:"key,omitempty"`
	Functions []string          `json:"functions,omitempty"`
	Transform string            `json:"transform,omitempty"`
	Fields    map[string]string `json:"fields_by_type,omitempty"`
	Source    string            `json:"source,omitempty"`
	Instead   string            `json:"instead,omitempty"`
	// Contexts are the additional RSS contexts, where the kernel lists them.
	Contexts []contextSettings `json:"contexts,omitempty"`
}

// contextSettings are those of an additional RSS context.
type contextSettings struct {
	Context   ethtool.Context   `json:"context"`
	Table     []rss.Queue       `json:"table"`
	Key       string            `json:"key"`
	Functions []string          `json:"functions"`
	Transform string            `json:"transform"`
	Fields    map[string]string `json:"fields_by_type"`
}

// Command is lbctl rss show.
func Command(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "show IFACE",
		Short: "Show an interface's channels, indirection table, key, hash function and fields",
		Long: `Show how an interface spreads received packets over its queues, as ethtool -x, -l and -n do: its
channels, indirection table, RSS key, hash function, input transformation and hash fields, and additional RSS
contexts (Linux 6.12 or later lists them). For an interface without RSS it says how the queue is chosen instead. No
privilege is needed.`,
		Example: `  lbctl rss show eth0
  lbctl rss show eth0 -o json | jq .fields_by_type`,
		Args: cli.Takes("IFACE"),
	}
	f := cli.OutputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		s, err := a.NICs.Read(args[0])
		if err != nil {
			return cli.AdviseInterface(err)
		}
		return a.Print(*f, settingsOf(s), func(w io.Writer) { showSettings(w, s) })
	}
	return c
}

func settingsOf(s ethtool.Settings) settings {
	n := settings{
		Interface: s.Interface, Driver: s.Driver, Queues: s.Queues, RSS: s.HasRSS(), Channels: s.Channels, Instead: s.Instead(),
	}
	if !s.HasRSS() {
		return n
	}
	own := contextOf(s)
	n.Table, n.Key, n.Functions, n.Transform, n.Fields, n.Source = own.Table, own.Key, own.Functions, own.Transform, own.Fields, s.By
	for _, c := range s.Contexts {
		n.Contexts = append(n.Contexts, contextOf(c))
	}
	return n
}

func contextOf(s ethtool.Settings) contextSettings {
	c := contextSettings{Context: s.Context, Table: s.Table, Key: s.Key.String(), Transform: s.Transform.String(), Fields: map[string]string{}}
	for _, f := range s.Functions {
		c.Functions = append(c.Functions, f.String())
	}
	for t, f := range s.Fields {
		c.Fields[string(t)] = f.String()
	}
	return c
}
