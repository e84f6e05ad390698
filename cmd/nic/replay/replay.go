// Package replay has the command lbctl rss replay: a capture through the model of a NIC, as text, JSON and report.
package replay

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/replay"
	"lbctl/rss/setup"
)

// flags are those of lbctl rss replay.
type flags struct {
	*cli.ReplayFlags
	compare            []string
	changeAt, changeTo string
	window             time.Duration
	top                int
	out                string
	output             *cli.Format
}

// Command is lbctl rss replay.
func Command(a *cli.App) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Replay a capture through the model of a NIC: load by queue, imbalance and its causes",
		Long: `Replay the packets of a capture through the model of a NIC. Print the packets, bytes and flows of each queue;
the imbalance and whether it is no more than chance; the largest flows; whether another table or
key could help; and the packets that went to another queue than their flow, by cause.

FILE is pcap or pcapng, gzipped or not; - is stdin. Link types: Ethernet, raw IP, Linux cooked, null,
loopback, NFLOG and DSA. The file is streamed; memory grows only with the number of flows. Packets that were cut before
what the NIC hashes are in no figure but one of their own.

--compare replays through another setup as well. It changes the flags by assignments that are joined by commas
(queues=8,table=512,key=symmetric,udp4=sd,profile=ice,fill=weight 1 3).`,
		Example: `  lbctl rss replay capture.pcap --queues 8
  lbctl rss replay capture.pcapng.gz --profile ixgbe --window 1s --out /tmp/replay
  lbctl rss replay capture.pcap --compare key=symmetric --compare queues=8,table=512
  lbctl rss replay capture.pcap --change-at 10s --change-to "equal 2" -o json`,
		Args: cli.Takes("FILE"),
	}
	f.ReplayFlags = cli.NewReplayFlags(c, cli.RealNIC)
	c.Flags().StringArrayVar(&f.compare, "compare", nil, "another setup to compare with, as name=value,...; may be repeated")
	c.Flags().StringVar(&f.changeAt, "change-at", "", "rewrite the indirection table after a time (10s) or a number of packets (5000)")
	c.Flags().StringVar(&f.changeTo, "change-to", "", "the new table, in the words of --fill")
	c.Flags().DurationVar(&f.window, "window", 0, "also show the load over time, in windows of this width")
	c.Flags().IntVar(&f.top, "top", 10, "how many of the largest flows to show")
	c.Flags().StringVar(&f.out, "out", "", "write report.html, report.json and the figures to this folder")
	f.output = cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error { return run(a, c, f, args[0]) }
	return c
}

func run(a *cli.App, c *cobra.Command, f *flags, name string) error {
	if err := f.Resolve(a, c); err != nil {
		return err
	}
	o, err := f.options(c)
	if err != nil {
		return err
	}
	found, err := a.Replay(c, name, o)
	if err != nil {
		return err
	}
	if f.out != "" {
		if err := f.write(name, found); err != nil {
			return err
		}
	}
	return a.Print(*f.output, found, printer{found, o, f.Real}.print)
}

// options returns the replay that the flags describe.
func (f *flags) options(c *cobra.Command) (replay.Options, error) {
	o, err := f.ReplayFlags.Options(c, "--compare", f.compare)
	if err != nil {
		return o, err
	}
	switch {
	case f.window < 0:
		return o, cli.Usage(c, "--window: %v: want a time above 0", f.window)
	case f.top < 0 || f.top > 10000:
		return o, cli.Usage(c, "--top: %d: want 0 to 10000", f.top)
	case (f.changeAt == "") != (f.changeTo == ""):
		return o, cli.Usage(c, "--change-at and --change-to: want both or none")
	}
	o.Window, o.Top = f.window, f.top
	if f.changeAt != "" {
		o.Change, err = f.change(c, len(o.NIC.Config().Table), o.Queues)
	}
	return o, err
}

// change reads when the table is rewritten, and the new table.
func (f *flags) change(c *cobra.Command, size, queues int) (*replay.Change, error) {
	table, err := setup.FillTable(f.changeTo, size, queues)
	if err != nil {
		return nil, cli.Usage(c, "--change-to: %v", err)
	}
	if packets, err := strconv.ParseUint(f.changeAt, 10, 64); err == nil {
		return &replay.Change{Packet: packets, Table: table}, nil
	}
	after, err := time.ParseDuration(f.changeAt)
	if err != nil || after <= 0 {
		return nil, cli.Usage(c, "--change-at: %q: want a time above 0 such as 10s, or a number of packets", f.changeAt)
	}
	return &replay.Change{After: after, Table: table}, nil
}
