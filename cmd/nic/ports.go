package nic

import (
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
)

// portsFlag are the flags of rss ports.
type portsFlag struct {
	source, destination, protocol string
	queues                        []int
	among                         string
	server                        *nicSpec
	replyQueues                   []int
	reply                         string
}

// portsAnswer is what lbctl rss ports prints; scripts rely on its names.
type portsAnswer struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Protocol    string `json:"protocol"`
	// Ports are those that lead to a wanted queue, and whose answers come in on one; as first and last.
	Ports [][2]uint16 `json:"ports"`
	Count int         `json:"port_count"`
	// Queues is how many ports of the range lead to each queue; ReplyQueues whence their answers come in, where
	// that was asked.
	Queues      []queuePorts `json:"queues"`
	ReplyQueues []queuePorts `json:"reply_queues,omitempty"`
	// Range is the ports that were tried.
	Range [2]uint16 `json:"range"`
}

type queuePorts struct {
	Queue  rss.Queue `json:"queue"`
	Ports  int       `json:"port_count"`
	Wanted bool      `json:"wanted"`
}

func portsCommand(a *cli.App) *cobra.Command {
	f := &portsFlag{}
	c := &cobra.Command{
		Use:   "ports --src ADDRESS --dst ADDRESS:PORT --queue QUEUE",
		Short: "Find the source ports that steer a flow to a queue",
		Long: `Find the source ports from which a flow to --dst lands on the queues that are wanted, on the NIC that
the flags describe: what a client needs to reach the core that owns a key, and a load balancer to have answers come in
where it wants them. Without --queue the ports of each queue are counted.

With --reply-queue also the answers must land on one of these queues, on the NIC of --src. That is like the other
one, but for what --reply says.`,
		Example: `  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --queue 2
  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --queue 2 --range 32768-60999 -o json
  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --profile ixgbe --queues 8 --queue 2,6
  lbctl rss ports --src 198.51.100.7 --dst 192.0.2.1:6379 --queue 2 --reply-queue 0 --reply queues=8,key=symmetric`,
		Args: cli.Takes(),
	}
	f.server = nicSpecFlags(c)
	c.Flags().StringVar(&f.source, "src", "", "source address")
	c.Flags().StringVar(&f.destination, "dst", "", "destination address and port")
	c.Flags().StringVar(&f.protocol, "protocol", "tcp", "tcp, udp or sctp")
	c.Flags().IntSliceVar(&f.queues, "queue", nil, "queues that are wanted; may be repeated")
	c.Flags().StringVar(&f.among, "range", "0-65535", "the ports that may be taken")
	c.Flags().IntSliceVar(&f.replyQueues, "reply-queue", nil, "queues of the sender's NIC that are wanted for answers; may be repeated")
	c.Flags().StringVar(&f.reply, "reply", "", "what the sender's NIC has other than the receiver's, as queues=8,key=symmetric")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		answer, err := f.find(c)
		if err != nil {
			return err
		}
		if err := a.Print(*output, answer, func(w io.Writer) { answer.show(w, len(f.queues)+len(f.replyQueues) > 0) }); err != nil {
			return err
		}
		if answer.Count == 0 {
			return &cli.Failure{Code: cli.ExitFailed, What: "no source port leads there", Do: "allow more ports (--range) or queues, or see with lbctl rss key analyse what the key does to ports"}
		}
		return nil
	}
	return c
}
