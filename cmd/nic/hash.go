package nic

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/nic"
)

// hashFlag are the flags of lbctl rss hash.
type hashFlag struct {
	flow cli.FlowFlag
	spec nicSpec
}

func hashCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "hash {--src ADDRESS:PORT --dst ADDRESS:PORT | -}",
		Short: "Compute the hash, table entry and queue of a flow, or of many",
		Long: `Compute the hash of a flow, the entry of the indirection table that it picks, and the queue
there. The table is that of ethtool -X IFACE equal QUEUES. No daemon is needed.

With "-" flows are read from standard input, one a line: SRC DST [PROTOCOL]; with -o json each gives
one line. Addresses without ports stand for a packet of any other protocol, or a fragment.

A profile (lbctl rss profiles) stands for a real NIC: its default key, table, fields and quirks. A key
that is given with one is meant as the NIC's driver shows it.`,
		Example: `  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766
  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766 --key symmetric --queues 8 -o json
  lbctl rss hash --src 10.0.0.1:53 --dst 10.0.0.2:4000 --protocol udp --profile ixgbe --queues 16
  lbctl rss hash --src 10.0.0.1:53 --dst 10.0.0.2:4000 --transform symmetric-xor --fields sdfn
  printf '10.0.0.1:5000 10.0.0.2:80\n10.0.0.1 10.0.0.2\n' | lbctl rss hash - --queues 8`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return nil
			}
			return cli.Takes()(c, args)
		},
	}
	h := hashFlags(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := h.nic(c)
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return hashMany(a, c, h, n, *f)
		}
		flow, err := h.one(c)
		if err != nil {
			return err
		}
		answer := h.blank(n).Landed(n, flow)
		return a.Print(*f, answer, func(w io.Writer) { printHash(w, answer) })
	}
	return c
}

func hashFlags(c *cobra.Command) *hashFlag {
	h := &hashFlag{}
	f := c.Flags()
	f.StringVar(&h.flow.Source, "src", "", "source address and port")
	f.StringVar(&h.flow.Destination, "dst", "", "destination address and port")
	f.StringVar(&h.flow.Protocol, "protocol", "", "tcp, udp, sctp, another name or number (default tcp)")
	f.StringVar(&h.spec.profile, "profile", "", "the NIC and its driver, as lbctl rss profiles names them")
	f.StringVar(&h.spec.key, "key", "", "RSS key: hexadecimal digits, or one of "+strings.Join(rss.KeyNames(), ", ")+" (default ms, or the profile's)")
	f.IntVar(&h.spec.queues, "queues", cli.DefaultQueues, "receive queues of the NIC")
	f.IntVar(&h.spec.table, "table", 0, fmt.Sprintf("entries of the indirection table (default %d, or the profile's)", nic.DefaultTableSize))
	f.StringVar(&h.spec.function, "function", "", "hash function: "+strings.Join(rss.FunctionNames(), ", "))
	f.StringVar(&h.spec.xfrm, "transform", "", "input transform: "+strings.Join(rss.TransformNames(), ", "))
	f.StringSliceVar(&h.spec.fields, "fields", nil, "hash fields: letters for all packets, as sdfn, or for some, as udp4=sd")
	return h
}

// blank is what the answers for all flows have in common.
func (h *hashFlag) blank(n *nic.NIC) cli.RSSAnswer {
	answer := cli.BlankAnswer(n)
	answer.Queues, answer.Profile = h.spec.queues, h.spec.profile
	if p, ok := nic.NamedProfile(h.spec.profile); ok && p.RandomKey() && h.spec.key == "" {
		answer.Note = "the key of this NIC is not known, ms stands in: " + p.KeySource
	}
	return answer
}

func printHash(w io.Writer, answer cli.RSSAnswer) {
	if answer.Profile != "" {
		cli.Row(w, "profile", answer.Profile)
	}
	if answer.Function != rss.FunctionToeplitz.String() {
		cli.Row(w, "function", answer.Function)
	}
	if answer.Transform != rss.NoTransform.String() {
		cli.Row(w, "transform", answer.Transform)
	}
	cli.Row(w, "fields", answer.Fields)
	cli.Row(w, "hash", answer.Hash)
	cli.Row(w, "index", fmt.Sprintf("%d of %d", answer.Index, answer.Table))
	cli.Row(w, "queue", fmt.Sprintf("%d of %d", answer.Queue, answer.Queues))
	if answer.Note != "" {
		cli.Row(w, "note", answer.Note)
	}
}
