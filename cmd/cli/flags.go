package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/setup"
)

// NICFlags adds the flags that describe a NIC.
func NICFlags(c *cobra.Command) *setup.Setup {
	return longNICFlags(c, setup.DefaultQueues, " (default ms, or the profile's)", fmt.Sprintf(" (default %d, or the profile's)", nic.DefaultTableSize))
}

// NICOverrideFlags adds the flags that replace what was read from a NIC.
func NICOverrideFlags(c *cobra.Command) *setup.Setup {
	return longNICFlags(c, 0, " (default: the NIC's own)", " (default: as many as the NIC has)")
}

// BriefNICFlags adds the flags that describe a NIC by its key and its table alone.
func BriefNICFlags(c *cobra.Command) *setup.Setup {
	return briefNICFlags(c, 0, " (default ms)", fmt.Sprintf(" (default %d)", nic.DefaultTableSize))
}

func briefNICFlags(c *cobra.Command, queues int, key, table string) *setup.Setup {
	s := &setup.Setup{}
	f := c.Flags()
	f.StringVar(&s.Key, "key", "", "RSS key: hexadecimal digits, or one of "+strings.Join(rss.KeyNames(), ", ")+key)
	f.IntVar(&s.Queues, "queues", queues, "receive queues of the NIC")
	f.Var(optionalInt{&s.Table}, "table", "entries of the indirection table"+table)
	return s
}

// optionalInt is a flag of a number that may be absent.
type optionalInt struct{ to **int }

// String implements pflag.Value.
func (o optionalInt) String() string {
	if o.to == nil || *o.to == nil {
		return ""
	}
	return strconv.Itoa(**o.to)
}

// Set implements pflag.Value.
func (o optionalInt) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("want a number")
	}
	*o.to = &n
	return nil
}

// Type implements pflag.Value.
func (o optionalInt) Type() string { return "int" }

func longNICFlags(c *cobra.Command, queues int, key, table string) *setup.Setup {
	s := briefNICFlags(c, queues, key, table)
	f := c.Flags()
	f.StringVar(&s.Profile, "profile", "", "the NIC and its driver, as lbctl rss profiles names them")
	f.StringVar(&s.Fill, "fill", "", `how the table is filled, as by ethtool -X: "equal 4", "weight 2 1 1"; or @FILE from lbctl rss plan -o json`)
	f.StringVar(&s.Function, "function", "", "hash function: "+strings.Join(rss.FunctionNames(), ", "))
	f.StringVar(&s.Transform, "transform", "", "input transform: "+strings.Join(rss.TransformNames(), ", "))
	f.StringVar(&s.Inner, "inner", "", "tunnels whose inner packet is hashed: "+strings.ReplaceAll(packet.AllTunnels.String(), ",", ", ")+" (joined by +), or all")
	f.StringVar(&s.DefaultQueue, "default-queue", "", "where packets without a hash go: a queue, or entry-0 for the queue of the table's first entry (default 0, or the profile's)")
	f.StringSliceVar(&s.Fields, "fields", nil, "hash fields: sd for all packets that have them, or udp4=sd for one flow type; may be repeated")
	return s
}

// SetupFailure is the error of a NIC that flags describe wrongly. It names the flag.
func SetupFailure(c *cobra.Command, err error) error {
	var wrong *setup.OptionError
	if !errors.As(err, &wrong) {
		return Usage(c, "%v", err)
	}
	failure := Usage(c, "--%v", wrong)
	if wrong.Known != nil {
		failure.OrNearest(wrong.Given, wrong.Known, "--"+wrong.Option+" ")
	}
	return failure
}

// RSSAnswer is the hash, table entry and queue of a flow. Scripts rely on its JSON names.
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

// NewRSSAnswer returns what the answers for all flows through a NIC have in common.
func NewRSSAnswer(n *nic.NIC, s *setup.Setup) RSSAnswer {
	config := n.Config()
	return RSSAnswer{
		Key: config.Key.String(), Table: len(config.Table), Queues: s.Queues, Profile: s.Profile, Note: s.KeyNote(),
		Function: config.Function.String(), Transform: config.Transform.String(),
	}
}

// Of returns the answer for one flow.
func (answer RSSAnswer) Of(n *nic.NIC, flow packet.Flow) RSSAnswer {
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

// AnyOther is a reserved protocol number. It stands for every protocol without ports.
const AnyOther packet.Protocol = 255

// FlowFlag are the flags that describe a flow.
type FlowFlag struct{ Source, Destination, Protocol string }

// FlowFlags adds them to a command.
func FlowFlags(c *cobra.Command) *FlowFlag {
	f := &FlowFlag{}
	c.Flags().StringVar(&f.Source, "src", "", "source address and port")
	c.Flags().StringVar(&f.Destination, "dst", "", "destination address and port")
	c.Flags().StringVar(&f.Protocol, "protocol", "tcp", "tcp or udp")
	return f
}

// Parse returns the flow that the flags describe.
func (f *FlowFlag) Parse(c *cobra.Command, flags []string) (packet.Flow, error) {
	switch {
	case f.Source == "":
		return packet.Flow{}, Usage(c, "missing --src ADDRESS:PORT")
	case f.Destination == "":
		return packet.Flow{}, Usage(c, "missing --dst ADDRESS:PORT")
	}
	probe, err := wire.ResolveProbe(api.Probe{Source: f.Source, Destination: f.Destination, Protocol: f.Protocol, Flags: flags})
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		p := wrong.Problems[0]
		named := map[string]string{"source": "--src", "destination": "--dst", "protocol": "--protocol"}
		flag, ok := named[p.Field]
		if !ok {
			flag = "--flags"
		}
		return packet.Flow{}, &Failure{Code: ExitUsage, What: flag + ": " + p.Reason, Do: p.Hint}
	}
	return probe.Flow, nil
}
