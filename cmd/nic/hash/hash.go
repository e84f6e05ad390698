// Package hash has the commands that map flows to receive queues: lbctl rss hash and lbctl rss ports.
package hash

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
)

// flags are those of lbctl rss hash.
type flags struct {
	cli.FlowFlag
	nic *cli.NICFlag
}

// Command is lbctl rss hash.
func Command(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "hash {--src ADDRESS:PORT --dst ADDRESS:PORT | -}",
		Short: "Compute the hash, table entry and queue of a flow, or of many",
		Long: `Compute the hash of a flow, the entry of the indirection table that the hash picks, and the queue in
that entry. Without --fill the table is that of ethtool -X IFACE equal QUEUES. No daemon is needed.

With "-" the flows are read from standard input, one a line: SRC DST [PROTOCOL]; with -o json each flow gives
one line. Addresses without ports stand for a fragment, or a packet of a protocol without ports.

--interface starts from the settings of a NIC of this machine, --fill @FILE takes the table from what ethtool -x printed.
--profile starts from the default key, table, fields and quirks of a real NIC (lbctl rss profiles). A --key
is then in the byte order that the NIC's driver shows.`,
		Example: `  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766
  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766 --key symmetric --queues 8 -o json
  lbctl rss hash --src 10.0.0.1:53 --dst 10.0.0.2:4000 --protocol udp --profile ixgbe --queues 16
  lbctl rss hash --src 10.0.0.1:53 --dst 10.0.0.2:4000 --transform symmetric-xor --fields sdfn
  ethtool -x eth0 > eth0.txt; lbctl rss hash --src 10.0.0.1:53 --dst 10.0.0.2:4000 --key @eth0.txt --fill @eth0.txt
  printf '10.0.0.1:5000 10.0.0.2:80\n10.0.0.1 10.0.0.2\n' | lbctl rss hash - --queues 8`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return nil
			}
			return cli.Takes()(c, args)
		},
	}
	f := &flags{nic: cli.NewNICFlag(c, cli.RealNIC)}
	c.Flags().StringVar(&f.Source, "src", "", "source address and port")
	c.Flags().StringVar(&f.Destination, "dst", "", "destination address and port")
	c.Flags().StringVar(&f.Protocol, "protocol", "", "tcp, udp, sctp, another name or number (default tcp)")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.nic.Resolve(a, c); err != nil {
			return err
		}
		n, err := f.nic.NIC()
		if err != nil {
			return cli.SetupFailure(c, err)
		}
		answer := cli.NewRSSAnswer(n, f.nic.Setup)
		if len(args) == 1 {
			return f.many(a, c, n, answer, *output)
		}
		flow, err := f.one(c)
		if err != nil {
			return err
		}
		answer = answer.Of(n, flow)
		return a.Print(*output, answer, func(w io.Writer) { print(w, answer) })
	}
	return c
}

func print(w io.Writer, answer cli.RSSAnswer) {
	if answer.Profile != "" {
		cli.Row(w, "profile", answer.Profile)
	}
	if answer.Function != rss.FunctionToeplitz.String() {
		cli.Row(w, "function", answer.Function)
	}
	if answer.Transform != rss.NoTransform.String() {
		cli.Row(w, "transform", answer.Transform)
	}
	cli.Row(w, "queue", fmt.Sprintf("%d of %d", answer.Queue, answer.Queues))
	if answer.Unhashed != "" {
		cli.Row(w, "not hashed", answer.Unhashed)
	} else {
		cli.Row(w, "index", fmt.Sprintf("%d of %d", answer.Index, answer.Table))
		cli.Row(w, "hash", answer.Hash)
		cli.Row(w, "fields", answer.Fields)
	}
	if text := cli.UnreachableText(answer.Unreachable); text != "" {
		cli.Row(w, "table", text)
	}
	if answer.Note != "" {
		cli.Row(w, "note", answer.Note)
	}
}
