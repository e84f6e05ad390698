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

// NICFlag are the flags that describe a NIC: a real one, or one by its properties.
type NICFlag struct {
	*setup.Setup
	Interface string
}

// NewNICFlag adds them to a command; help says what --interface is.
func NewNICFlag(c *cobra.Command, help string) *NICFlag {
	f := &NICFlag{Setup: NICFlags(c)}
	c.Flags().StringVar(&f.Interface, "interface", "", help)
	return f
}

// RealNIC is the help of --interface.
const RealNIC = "a NIC of this machine: its settings, which the other flags change"

// Resolve reads what the flags name: the settings of --interface, and the number of queues that --fill @FILE tells. It must
// be called before the setup is used.
func (f *NICFlag) Resolve(a *App, c *cobra.Command) error {
	if f.Interface != "" {
		settings, err := a.NICs.Read(f.Interface)
		if err != nil {
			return AdviseInterface(err)
		}
		if len(settings.Key) == 0 && f.Key != "" {
			settings.Key = rss.MicrosoftKey() // --key is in its place
		}
		config, assumed, err := settings.Model()
		if err != nil {
			return AdviseInterface(err)
		}
		f.Real = &setup.Real{Config: config, Queues: settings.Queues, Assumed: assumed}
		if !c.Flags().Changed("queues") {
			f.Queues = 0
		}
	}
	return f.queuesOfFile(c)
}

// queuesOfFile takes the number of queues from the file of --fill, where --queues does not say it.
func (f *NICFlag) queuesOfFile(c *cobra.Command) error {
	name, isFile := strings.CutPrefix(f.Fill, "@")
	if !isFile || c.Flags().Changed("queues") {
		return nil
	}
	table, queues, err := setup.ReadTable(name)
	if err != nil {
		return SetupFailure(c, &setup.OptionError{Option: "fill", Err: err})
	}
	f.Queues = max(queues, table.Queues())
	return nil
}

// UnreachableText says that no entry of a table names some queues; empty where there are none.
func UnreachableText(queues []rss.Queue) string {
	const most = 16
	var names []string
	for _, q := range queues[:min(len(queues), most)] {
		names = append(names, strconv.Itoa(int(q)))
	}
	switch {
	case len(queues) == 0:
		return ""
	case len(queues) == 1:
		return fmt.Sprintf("no entry names queue %s: what is hashed never comes to it", names[0])
	case len(queues) > most:
		names = append(names, "...")
	}
	return fmt.Sprintf("no entry names queues %s: what is hashed never comes to them", strings.Join(names, ", "))
}

// NICFlags adds the flags that describe a NIC by its properties.
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
	f.StringVar(&s.Key, "key", "", "RSS key: hexadecimal digits as in C, in ethtool -x or plain, @FILE with them, or one of "+strings.Join(rss.KeyNames(), ", ")+key)
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
	f.StringVar(&s.Fill, "fill", "", `how the table is filled, as by ethtool -X: "equal 4", "weight 2 1 1"; or @FILE with what ethtool -x or lbctl rss plan -o json prints`)
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
	// Unhashed is why a flow has no hash; empty where it has one.
	Unhashed string `json:"unhashed,omitempty"`
	// Unreachable are the queues that no entry of the table names.
	Unreachable []rss.Queue `json:"unreachable_queues,omitempty"`
}

// NewRSSAnswer returns what the answers for all flows through a NIC have in common.
func NewRSSAnswer(n *nic.NIC, s *setup.Setup) RSSAnswer {
	config, note := n.Config(), s.KeyNote()
	if s.Real != nil {
		note = strings.Join(s.Real.Assumed, "; ")
	}
	return RSSAnswer{
		Key: config.Key.String(), Table: len(config.Table), Queues: s.QueueCount(config), Profile: s.Profile, Note: note,
		Unreachable: config.Table.Unreachable(s.QueueCount(config)),
		Function:    config.Function.String(), Transform: config.Transform.String(),
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
	if r.Unhashed != 0 {
		answer.Unhashed = r.Unhashed.String()
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
