package balance

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/client"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

// monitorFlag are the flags of lbctl monitor.
type monitorFlag struct {
	watched client.Watched
	// count is how many samples are read, 0 for no limit.
	count uint64
	// file is the capture to be written, "" for none.
	file string
}

func monitorCommand(a *cli.App) *cobra.Command {
	f := &monitorFlag{}
	c := &cobra.Command{
		Use:   "monitor",
		Short: "Print packets as they come in, and what happens to them",
		Long: `Print packets as they come in, one line each: time (UTC), interface, receive queue and core, flow, reason,
service, replica, and length in bytes. Ctrl-C or --count ends the command with exit code 0.

While a client watches, the daemon replaces the XDP program of all links by one that copies packets, without
losing a packet; at other times watching costs nothing. Copying never delays packets: samples that come
faster than they are read are lost, and their number is printed at the end (with -o json in the field lost of
the next sample). Several clients may watch at once.

The flow is that of the packet as it came in, and --source, --destination, --port and --protocol select by it: answers of a
replica have its address as their source. The daemon applies them to all samples that --reason and --service let through, and
--every counts what is left. For an ICMP error this is the error's own flow, but service and
replica are those of the packet that it quotes. --pcap writes the first 256 bytes of each packet as pcapng, with
reason, service and replica as a comment, and prints no lines.`,
		Example: `  lbctl monitor
  lbctl monitor --reason no_replica --reason no_route
  lbctl monitor --service web --every 1000
  lbctl monitor --source 198.51.100.0/24 --destination 192.0.2.1:80
  lbctl monitor --port 53 --protocol udp
  lbctl monitor --count 100 -o json
  lbctl monitor --service web --pcap web.pcapng
  lbctl monitor --pcap - | tcpdump -r - -n`,
		Args: cli.Takes(),
	}
	c.Flags().StringSliceVar(&f.watched.Reasons, "reason", nil, "only packets with this reason; may be repeated (default all)")
	c.Flags().StringVar(&f.watched.Service, "service", "", "only packets to this service, and its answers")
	c.Flags().StringVar(&f.watched.Source, "source", "", "only packets from this address or prefix")
	c.Flags().StringVar(&f.watched.Destination, "destination", "", "only packets to this address or prefix, and port: 192.0.2.1:80, [2001:db8::/64]:80")
	c.Flags().Uint16Var(&f.watched.Port, "port", 0, "only packets from this port or to it")
	c.Flags().StringVar(&f.watched.Protocol, "protocol", "", "only packets of this protocol: tcp, udp, icmp, icmpv6 ... or a number")
	_ = c.RegisterFlagCompletionFunc("service", a.CompleteFlag(cli.Services))
	c.Flags().Uint32Var(&f.watched.Every, "every", 1, "print one in this many packets; each core counts on its own")
	c.Flags().Uint64Var(&f.count, "count", 0, "stop after this many packets (default never)")
	c.Flags().StringVar(&f.file, "pcap", "", "write a capture and print no lines; - is stdout")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case f.watched.Every == 0:
			return cli.Usage(c, "--every 0: want at least 1")
		case f.file != "" && *output == cli.FormatJSON:
			return cli.Usage(c, "--pcap and -o json: want one of them")
		case c.Flags().Changed("port") && f.watched.Port == 0:
			return cli.Usage(c, "--port 0: want 1 to 65535")
		}
		if err := f.checkFlows(); err != nil {
			return err
		}
		return runMonitor(a, c.Context(), f, *output)
	}
	return c
}

// checkFlows checks before the daemon is asked, for errors that name flags.
func (f *monitorFlag) checkFlows() error {
	_, err := wire.ResolveFlows(f.watched.Source, f.watched.Destination, f.watched.Protocol, f.watched.Port)
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		p := wrong.Problems[0]
		return &cli.Failure{Code: cli.ExitUsage, What: "--" + p.Field + ": " + p.Reason, Do: p.Hint, Cause: err}
	}
	return err
}

// runMonitor prints samples until the context ends, which is no error, or there are enough.
func runMonitor(a *cli.App, ctx context.Context, f *monitorFlag, o cli.Format) error {
	d := a.Client()
	defer d.Close()
	samples, err := d.Monitor(ctx, f.watched)
	if err != nil {
		return err
	}
	defer samples.Close()
	sink, err := newSampleSink(a, f.file, o)
	if err != nil {
		return err
	}
	got, err := copySamples(samples, sink, f.count)
	if closed := sink.close(); err == nil {
		err = closed
	}
	if ctx.Err() != nil {
		err = nil
	}
	reportSamples(a, f, got)
	return err
}

// copied counts what was read of a stream.
type copied struct{ samples, lost uint64 }

// copySamples copies samples to a sink, at most as many as are wanted; 0 is no limit.
func copySamples(from *client.Samples, to sampleSink, wanted uint64) (got copied, err error) {
	for err = to.flush(); err == nil && (wanted == 0 || got.samples < wanted); {
		s, broken := from.Next()
		if broken != nil {
			return got, broken
		}
		got.samples++
		got.lost += s.Lost
		if err = to.add(s); err == nil && !from.Waiting() {
			err = to.flush()
		}
	}
	return got, err
}

// reportSamples prints on stderr how many packets a capture has, and how many samples were lost.
func reportSamples(a *cli.App, f *monitorFlag, got copied) {
	if f.file != "" {
		fmt.Fprintf(a.Stderr, "%s written to %s\n", cli.Many(int(got.samples), "packet"), f.file)
	}
	if got.lost > 0 {
		fmt.Fprintf(a.Stderr, "%s lost, which came faster than they were read: watch fewer packets with --reason, --service or --every\n",
			cli.Many(int(got.lost), "sample"))
	}
}
