package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

func rssCommand(a *app) *cobra.Command {
	return noun(&cobra.Command{
		Use:     "rss",
		Short:   "Say which receive queue of a NIC a flow lands on",
		Example: `  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766`,
	}, rssHashCommand(a), rssProfilesCommand(a), rssShowCommand(a, realInterfaces()), rssSetCommand(a, realInterfaces()), rssVerifyCommand(a, realInterfaces()), rssReplayCommand(a), rssPlanCommand(a), rssSimulateCommand(a), rssKeyCommand(a), rssPortsCommand(a), rssIdentifyCommand(a, realInterfaces()))
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
	Function    string    `json:"function"`
	Transform   string    `json:"transform"`
	Profile     string    `json:"profile,omitempty"`
	Note        string    `json:"note,omitempty"`
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
	answer := answerOf(n, parsed)
	answer.Queues = f.queues
	return answer, nil
}

// answerOf says where a NIC sends a flow; the number of queues is the caller's to add.
func answerOf(n *nic.NIC, flow packet.Flow) rssAnswer { return blankAnswer(n).landed(n, flow) }

// blankAnswer is what all answers of a NIC have in common.
func blankAnswer(n *nic.NIC) rssAnswer {
	config := n.Config()
	return rssAnswer{
		Key: config.Key.String(), Table: len(config.Table), Function: config.Function.String(), Transform: config.Transform.String(),
	}
}

// landed is the blank answer filled in for a flow.
func (answer rssAnswer) landed(n *nic.NIC, flow packet.Flow) rssAnswer {
	r := n.ClassifyFlow(flow)
	answer.Fields, answer.Hash, answer.Index, answer.Queue = r.Fields.String(), fmt.Sprintf("0x%08x", r.Hash), r.Index, r.Queue
	answer.Source, answer.Destination, answer.Protocol = flow.Source.String(), flow.Destination.String(), flow.Protocol.String()
	if !flow.Protocol.HasPorts() {
		answer.Source, answer.Destination = flow.Source.Addr().String(), flow.Destination.Addr().String()
	}
	if flow.Protocol == anyOther {
		answer.Protocol = "ip"
	}
	return answer
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
