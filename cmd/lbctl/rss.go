package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/rss"
	"lbctl/rss/nic"
)

func rssCommand(a *app) *cobra.Command {
	return noun(&cobra.Command{
		Use:     "rss",
		Short:   "Say which receive queue of a NIC a flow lands on",
		Example: `  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766`,
	}, rssHashCommand(a))
}

// nicFlag are the flags that describe a NIC.
type nicFlag struct {
	key           string
	queues, table int
}

// defaultQueues is the number of queues where none is named.
const defaultQueues = 4

func nicFlags(c *cobra.Command, queues int) *nicFlag {
	f := &nicFlag{}
	c.Flags().StringVar(&f.key, "key", "ms", "RSS key: hexadecimal digits, or one of "+strings.Join(rss.KeyNames(), ", "))
	c.Flags().IntVar(&f.queues, "queues", queues, "receive queues of the NIC")
	c.Flags().IntVar(&f.table, "table", nic.DefaultTableSize, "entries of the indirection table")
	return f
}

// rssAnswer is where a flow lands and why; scripts rely on its names.
type rssAnswer struct {
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	Protocol    string    `json:"protocol"`
	Fields      string    `json:"fields"`
	Hash        string    `json:"hash"`
	Index       int       `json:"index"`
	Queue       rss.Queue `json:"queue"`
	Key         string    `json:"key"`
	Queues      int       `json:"queues"`
	Table       int       `json:"table"`
}

func rssHashCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "hash --src ADDRESS:PORT --dst ADDRESS:PORT",
		Short: "Compute the hash, table entry and queue of a flow",
		Long: `Compute the Toeplitz hash of a flow, the entry of the indirection table that its low bits
pick, and the queue there. The table is that of ethtool -X IFACE equal QUEUES. No daemon is needed.`,
		Example: `  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766
  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766 --key symmetric --queues 8 -o json`,
		Args: takes(),
	}
	flow := flowFlags(c)
	nic := nicFlags(c, defaultQueues)
	f := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		answer, err := nic.hash(c, flow)
		if err != nil {
			return err
		}
		return a.print(*f, answer, func(w io.Writer) {
			row(w, "fields", answer.Fields)
			row(w, "hash", answer.Hash)
			row(w, "index", fmt.Sprintf("%d of %d", answer.Index, answer.Table))
			row(w, "queue", fmt.Sprintf("%d of %d", answer.Queue, answer.Queues))
		})
	}
	return c
}

// hash computes where a flow lands.
func (f *nicFlag) hash(c *cobra.Command, flow *flowFlag) (rssAnswer, error) {
	parsed, err := flow.parse(c, nil)
	if err != nil {
		return rssAnswer{}, err
	}
	n, err := f.nic(c)
	if err != nil {
		return rssAnswer{}, err
	}
	r := n.ClassifyFlow(parsed)
	return rssAnswer{
		Source: parsed.Source.String(), Destination: parsed.Destination.String(), Protocol: parsed.Protocol.String(),
		Fields: r.Fields.String(), Hash: fmt.Sprintf("0x%08x", r.Hash), Index: r.Index, Queue: r.Queue,
		Key: n.Config().Key.String(), Queues: f.queues, Table: f.table,
	}, nil
}

// nic sets up the NIC that the flags describe.
func (f *nicFlag) nic(c *cobra.Command) (*nic.NIC, error) {
	setup, err := nic.Default(f.queues)
	if err != nil {
		return nil, usage(c, "--queues: %v", err)
	}
	if setup.Table, err = rss.EqualTable(f.table, f.queues); err != nil {
		return nil, usage(c, "--table: %v", err)
	}
	if setup.Key, err = rss.ParseKey(f.key); err != nil {
		return nil, usage(c, "--key: %v", err)
	}
	return nic.New(setup)
}
