package nic

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/replay"
)

// replayFlag are the flags of lbctl rss replay.
type replayFlag struct {
	*captureFlag
	compare            []string
	changeAt, changeTo string
	window             time.Duration
	top                int
	report             string
	format             *cli.Format
}

func replayCommand(a *cli.App) *cobra.Command {
	f := &replayFlag{}
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Say which queues a capture would have come to, how evenly, and why not more",
		Long: `Send the packets of a capture through the model of a NIC: packets, bytes and flows of each queue;
how uneven they are, and whether chance alone does that; the largest flows; whether another table or
key could help; packets that would have left their flow's queue, by cause.

FILE is pcap or pcapng, gzipped or not, - is stdin. Link types: Ethernet, raw IP, Linux cooked, null
and loopback. The file is streamed; memory grows with the number of flows alone.

--compare takes the same words as the flags, joined by commas (queues=8,table=512,key=symmetric,
udp4=sd,profile=ice,fill=weight 1 3), on top of the flags; it may be repeated.`,
		Example: `  lbctl rss replay capture.pcap --queues 8
  lbctl rss replay capture.pcapng.gz --profile ixgbe --window 1s --out /tmp/replay
  lbctl rss replay capture.pcap --compare key=symmetric --compare queues=8,table=512
  lbctl rss replay capture.pcap --change-at 10s --change-to "equal 2" -o json`,
		Args: cli.Takes("FILE"),
	}
	f.captureFlag = captureFlags(c)
	c.Flags().StringArrayVar(&f.compare, "compare", nil, "another set-up to hold against the first, as name=value,...; may be repeated")
	c.Flags().StringVar(&f.changeAt, "change-at", "", "rewrite the indirection table after a time (10s) or a number of packets (5000)")
	c.Flags().StringVar(&f.changeTo, "change-to", "", "the table from then on, in the words of --fill")
	c.Flags().DurationVar(&f.window, "window", 0, "width of windows over time")
	c.Flags().IntVar(&f.top, "top", 10, "how many of the largest flows to name")
	c.Flags().StringVar(&f.report, "out", "", "a folder for report.html, report.json and figures")
	f.format = cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error { return rssReplay(a, c, f, args[0]) }
	return c
}

func rssReplay(a *cli.App, c *cobra.Command, f *replayFlag, name string) error {
	o, err := f.options(c)
	if err != nil {
		return err
	}
	found, err := replayCapture(a, c, name, o)
	if err != nil {
		return err
	}
	if f.report != "" {
		if err := writeReplayReport(f.report, name, f, found); err != nil {
			return cli.Advise(err, "name another folder with --out")
		}
	}
	return a.Print(*f.format, found, replayPrinter{found, o}.print)
}

// options returns the replay that the flags describe.
func (f *replayFlag) options(c *cobra.Command) (replay.Options, error) {
	o, err := f.captureFlag.options(c, "--compare", f.compare)
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
		o.Change, err = f.change(c, len(o.NIC.Config().Table))
	}
	return o, err
}

// change reads when the table is rewritten and how.
func (f *replayFlag) change(c *cobra.Command, size int) (*replay.Change, error) {
	table, err := fillTable(f.changeTo, size, f.queues)
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
