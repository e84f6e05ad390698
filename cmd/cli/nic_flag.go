package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// NICFlag are the flags that describe a NIC.
type NICFlag struct {
	key           string
	Queues, table int
}

// DefaultQueues is the number of queues where none is named.
const DefaultQueues = 4

func NICFlags(c *cobra.Command, queues int) *NICFlag {
	f := &NICFlag{}
	c.Flags().StringVar(&f.key, "key", "ms", "RSS key: hexadecimal digits, or one of "+strings.Join(rss.KeyNames(), ", "))
	c.Flags().IntVar(&f.Queues, "queues", queues, "receive queues of the NIC")
	c.Flags().IntVar(&f.table, "table", nic.DefaultTableSize, "entries of the indirection table")
	return f
}

// RSSAnswer is where a flow lands and why; scripts rely on its names.
type RSSAnswer struct {
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	Protocol    string    `json:"protocol"`
	Fields      string    `json:"fields"`
	Hash        string    `json:"hash"`
	Index       int       `json:"index"`
	Queue       rss.Queue `json:"queue"`
	Key         string    `json:"key"`
	Queues      int       `json:"queue_count"`
	Table       int       `json:"table_entries"`
	Function    string    `json:"function"`
	Transform   string    `json:"transform"`
	Profile     string    `json:"profile,omitempty"`
	Note        string    `json:"note,omitempty"`
}

// Hash computes where a flow lands.
func (f *NICFlag) Hash(c *cobra.Command, flow *FlowFlag) (RSSAnswer, error) {
	parsed, err := flow.Parse(c, nil)
	if err != nil {
		return RSSAnswer{}, err
	}
	n, err := f.NIC(c)
	if err != nil {
		return RSSAnswer{}, err
	}
	answer := answerOf(n, parsed)
	answer.Queues = f.Queues
	return answer, nil
}

// answerOf says where a NIC sends a flow; the number of queues is the caller's to add.
func answerOf(n *nic.NIC, flow packet.Flow) RSSAnswer { return BlankAnswer(n).Landed(n, flow) }

// BlankAnswer is what all answers of a NIC have in common.
func BlankAnswer(n *nic.NIC) RSSAnswer {
	config := n.Config()
	return RSSAnswer{
		Key: config.Key.String(), Table: len(config.Table), Function: config.Function.String(), Transform: config.Transform.String(),
	}
}

// Landed is the blank answer filled in for a flow.
func (answer RSSAnswer) Landed(n *nic.NIC, flow packet.Flow) RSSAnswer {
	r := n.ClassifyFlow(flow)
	answer.Fields, answer.Hash, answer.Index, answer.Queue = r.Fields.String(), fmt.Sprintf("0x%08x", r.Hash), r.Index, r.Queue
	answer.Source, answer.Destination, answer.Protocol = flow.Source.String(), flow.Destination.String(), flow.Protocol.String()
	if !flow.Protocol.HasPorts() {
		answer.Source, answer.Destination = flow.Source.Addr().String(), flow.Destination.Addr().String()
	}
	if flow.Protocol == AnyOther {
		answer.Protocol = "ip"
	}
	return answer
}

// NIC sets up the NIC that the flags describe.
func (f *NICFlag) NIC(c *cobra.Command) (*nic.NIC, error) {
	setup, err := nic.Default(f.Queues)
	if err != nil {
		return nil, Usage(c, "--queues: %v", err)
	}
	if setup.Table, err = rss.EqualTable(f.table, f.Queues); err != nil {
		return nil, Usage(c, "--table: %v", err)
	}
	if setup.Key, err = rss.ParseKey(f.key); err != nil {
		return nil, Usage(c, "--key: %v", err)
	}
	return nic.New(setup)
}

// AnyOther is the protocol, a reserved one, that stands for all without ports.
const AnyOther packet.Protocol = 255
