package hash

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/nic"
)

// portsFlag are the flags of rss ports.
type portsFlag struct {
	source, destination, protocol string
	queues                        []int
	among                         string
	server                        *cli.NICFlag
	replyQueues                   []int
	reply                         string
	// bits are those of a port that --adjust may change, entries what it aims at instead of queues.
	bits    string
	entries []int
}

// portsAnswer is what lbctl rss ports prints; scripts rely on its names.
type portsAnswer struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Protocol    string `json:"protocol"`
	// Ports are the source ports found, as ranges of first and last.
	Ports [][2]uint16 `json:"ports"`
	Count int         `json:"port_count"`
	// Queues is the number of ports that lead to each queue; ReplyQueues the number whose replies come in on each
	// queue, absent unless asked for.
	Queues      []queuePorts `json:"queues"`
	ReplyQueues []queuePorts `json:"reply_queues,omitempty"`
	// Range are the ports that were tried.
	Range [2]uint16 `json:"range"`
}

type queuePorts struct {
	Queue  rss.Queue `json:"queue"`
	Ports  int       `json:"port_count"`
	Wanted bool      `json:"wanted"`
}

// PortsCommand is lbctl rss ports.
func PortsCommand(a *cli.App) *cobra.Command {
	f := &portsFlag{}
	c := &cobra.Command{
		Use:   "ports --src ADDRESS --dst ADDRESS:PORT --queue QUEUE",
		Short: "Find the source ports that steer a flow to a queue",
		Long: `Find the source ports with which a flow to --dst goes to the wanted receive queues of the NIC that
the flags describe. So a client can reach the core that owns a key, and a load balancer can choose the
queue of the replies. Without --queue the ports of each queue are counted.

--adjust solves for a port instead, as DPDK's rte_thash_adjust_tuple does: of the flow from --src, here with its port, only some
low bits of the source port may change (--adjust 7), or those of a mask (0x00fe), or of the destination port (dst:7). The entry
is a linear function of these bits over GF(2), so that it is known when there is no such port.

With --reply-queue the replies must also go to one of these queues, of the NIC of --src. That NIC is like the other
one, except for what --reply says.`,
		Example: `  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --queue 2
  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --queue 2 --range 32768-60999 -o json
  lbctl rss ports --src 198.51.100.7:40000 --dst 192.0.2.1:6379 --queue 2 --adjust 7
  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --profile ixgbe --queues 8 --queue 2,6
  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --queue 2 --reply-queue 0 --reply queues=8,key=symmetric`,
		Args: cli.Takes(),
	}
	f.server = cli.NewNICFlag(c, cli.RealNIC)
	c.Flags().StringVar(&f.source, "src", "", "source address")
	c.Flags().StringVar(&f.destination, "dst", "", "destination address and port")
	c.Flags().StringVar(&f.protocol, "protocol", "tcp", "tcp, udp or sctp")
	c.Flags().IntSliceVar(&f.queues, "queue", nil, "wanted queues; may be repeated")
	c.Flags().StringVar(&f.among, "range", "0-65535", "the ports to try")
	c.Flags().IntSliceVar(&f.replyQueues, "reply-queue", nil, "wanted queues of the sender's NIC for the replies; may be repeated")
	c.Flags().StringVar(&f.reply, "reply", "", "how the sender's NIC differs from the receiver's, as queues=8,key=symmetric")
	c.Flags().StringVar(&f.bits, "adjust", "", "change only these bits of a port: how many low ones, or a mask; dst: before it means the destination's")
	c.Flags().IntSliceVar(&f.entries, "entry", nil, "wanted entries of the indirection table, with --adjust; may be repeated")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.server.Resolve(a, c); err != nil {
			return err
		}
		if c.Flags().Changed("adjust") {
			said, err := f.adjust(c)
			if err != nil {
				return err
			}
			if err := a.Print(*output, said, said.show); err != nil {
				return err
			}
			return said.failure()
		}
		if len(f.entries) > 0 {
			return cli.Usage(c, "--entry: want --adjust with it")
		}
		answer, err := f.find(c)
		if err != nil {
			return err
		}
		if err := a.Print(*output, answer, func(w io.Writer) { answer.show(w, len(f.queues)+len(f.replyQueues) > 0) }); err != nil {
			return err
		}
		if answer.Count == 0 {
			return &cli.Failure{Code: cli.ExitFailed, What: "no source port leads to these queues", Do: "allow more ports (--range) or queues, or see with lbctl rss key analyse what the key does to ports"}
		}
		return nil
	}
	return c
}

// fewRanges is how many ranges of ports are printed for a reader.
const fewRanges = 12

// show prints the ports, if some were asked for, and how many each queue has.
func (p *portsAnswer) show(w io.Writer, asked bool) {
	tried := int(p.Range[1]) - int(p.Range[0]) + 1
	if asked {
		cli.Row(w, "ports", rangesText(p.Ports))
		cli.Row(w, "count", fmt.Sprintf("%d of %d", p.Count, tried))
		fmt.Fprintln(w)
	}
	showQueuePorts(w, "QUEUE", p.Queues)
	if p.ReplyQueues != nil {
		fmt.Fprintln(w)
		showQueuePorts(w, "REPLY QUEUE", p.ReplyQueues)
	}
}

// rangesText writes some ranges of ports.
func rangesText(ports [][2]uint16) string {
	var some []string
	for _, r := range ports[:min(fewRanges, len(ports))] {
		some = append(some, nic.PortRange{First: r[0], Last: r[1]}.String())
	}
	if len(ports) > fewRanges {
		some = append(some, "... (-o json has all)")
	}
	return strings.Join(some, " ")
}

func showQueuePorts(w io.Writer, head string, queues []queuePorts) {
	cli.Row(w, head, "PORTS", "WANTED")
	for _, q := range queues {
		cli.Row(w, q.Queue, q.Ports, map[bool]string{true: "yes", false: ""}[q.Wanted])
	}
}
