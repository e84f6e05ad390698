package balance

import (
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/rss"
	"lbctl/rss/ingress"
	"lbctl/rss/nic"
	"lbctl/rss/setup"
)

// explanation is the daemon's answer and, if flags name or describe a NIC, the receive queue of the packet.
type explanation struct {
	api.Explanation
	RSS     *cli.RSSAnswer  `json:"rss,omitempty"`
	Ingress *ingress.Answer `json:"ingress,omitempty"`
}

// explainFlag are the flags of lbctl explain.
type explainFlag struct {
	flow  *cli.FlowFlag
	flags []string
	nic   *setup.Setup
	iface string
	file  string
}

func explainCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain {--src ADDRESS:PORT --dst VIP:PORT | --pcap FILE}",
		Short: "Print what would happen to a packet, or to every packet of a capture, and why",
		Long: `Print what would happen to a packet now: hash, slot and its owners, the record of its flow, the
replica and why it was chosen, what is rewritten and the next hop, or the reason why not. The answer
comes from the live tables; nothing is changed.

The packet has a TTL of 64, no payload and, for tcp, the flag ack, like a packet of an established flow;
--flags syn makes it the first one of a flow. --interface names the interface that it comes in on, and adds its
receive queue and core as far as the driver tells; --queues adds the queue of a NIC that flags describe, as in
lbctl rss hash.

With --pcap every packet of a capture (pcap or pcapng, "-" for standard input) gives one line: time, flow,
reason, service, replica, and why that one. Each packet is explained by itself, from the tables as they are now: an
earlier packet does not open a flow for a later one. Of a short snapshot zeros stand for what is missing behind the
headers; a packet that was cut in them is not predictable. The output ends with a table of the reasons. With -o json every packet is a line of JSON; the last
line is the summary.`,
		Example: `  lbctl explain --src 198.51.100.7:40000 --dst 192.0.2.1:80
  lbctl explain --src "[2001:db8::7]:40000" --dst "[2001:db8::1]:443" --protocol udp
  lbctl explain --src 198.51.100.7:40000 --dst 192.0.2.1:80 --flags syn --interface eth0
  lbctl explain --src 198.51.100.7:40000 --dst 192.0.2.1:80 --queues 4 -o json
  lbctl explain --pcap capture.pcap --interface eth0
  tcpdump -c 100 -w - -i eth0 | lbctl explain --pcap - -o json`,
		Args: cli.Takes(),
	}
	f := &explainFlag{flow: cli.FlowFlags(c)}
	c.Flags().StringSliceVar(&f.flags, "flags", nil, "TCP flags of the packet: syn, ack, fin, rst, psh, urg (default ack)")
	c.Flags().StringVar(&f.iface, "interface", "", "the attached interface that it comes in on")
	c.Flags().StringVar(&f.file, "pcap", "", "explain every packet of a capture; - is stdin")
	f.nic = cli.BriefNICFlags(c)
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.validate(c); err != nil {
			return err
		}
		d := a.Client()
		defer d.Close()
		if f.file != "" {
			return explainCapture(a, c, d, f, *output)
		}
		return explainOne(a, c, d, f, *output)
	}
	return c
}

// validate checks that flags do not contradict each other.
func (f *explainFlag) validate(c *cobra.Command) error {
	changed := func(names ...string) (given []string) {
		for _, n := range names {
			if c.Flags().Changed(n) {
				given = append(given, "--"+n)
			}
		}
		return given
	}
	if given := changed("src", "dst", "protocol", "flags"); f.file != "" && len(given) > 0 {
		return cli.Usage(c, "--pcap and %s: want a capture or a flow", strings.Join(given, ", "))
	}
	if given := changed("queues", "key", "table"); f.iface != "" && len(given) > 0 {
		return cli.Usage(c, "--interface and %s: want a NIC of this machine or one that flags describe", strings.Join(given, ", "))
	}
	if len(changed("queues")) > 0 && (f.nic.Queues < 1 || f.nic.Queues > rss.MaxQueues) {
		return cli.Usage(c, "--queues: %d: want 1 to %d", f.nic.Queues, rss.MaxQueues)
	}
	if given := changed("key", "table"); len(given) > 0 && f.nic.Queues == 0 {
		return cli.Usage(c, "%s without --queues", strings.Join(given, ", "))
	}
	return nil
}

// explainOne explains the packet that flags describe.
func explainOne(a *cli.App, c *cobra.Command, d *client.Client, f *explainFlag, o cli.Format) error {
	flow, err := f.flow.Parse(c, f.flags)
	if err != nil {
		return err
	}
	e := explanation{}
	if f.nic.Queues > 0 {
		n, err := f.nic.NIC()
		if err != nil {
			return cli.SetupFailure(c, err)
		}
		answer := cli.NewRSSAnswer(n, f.nic).Of(n, flow)
		e.RSS = &answer
	}
	e.Explanation, err = d.Explain(c.Context(), api.Probe{
		Source: f.flow.Source, Destination: f.flow.Destination, Protocol: f.flow.Protocol, Flags: f.flags, Interface: f.iface,
	})
	if err != nil {
		return err
	}
	if f.iface != "" {
		e.Ingress = ingress.New(a.NICs.Read, "/", f.iface).Of(func(n *nic.NIC) nic.Result { return n.ClassifyFlow(flow) })
	}
	return a.Print(o, e, e.print)
}
