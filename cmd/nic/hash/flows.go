package hash

import (
	"bufio"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// one returns the flow that the flags describe.
func (f *flags) one(c *cobra.Command) (packet.Flow, error) {
	switch {
	case f.Source == "":
		return packet.Flow{}, cli.Usage(c, "missing --src ADDRESS:PORT")
	case f.Destination == "":
		return packet.Flow{}, cli.Usage(c, "missing --dst ADDRESS:PORT")
	}
	flow, err := parseTuple(f.Source, f.Destination, f.Protocol)
	if err != nil {
		return flow, cli.Usage(c, "%v", err)
	}
	return flow, nil
}

// parseTuple reads two addresses, both with ports or both without, and a protocol or none.
func parseTuple(source, destination, protocol string) (flow packet.Flow, err error) {
	var ports [2]bool
	if flow.Source, ports[0], err = parseEndpoint(source); err != nil {
		return flow, fmt.Errorf("source %w", err)
	}
	if flow.Destination, ports[1], err = parseEndpoint(destination); err != nil {
		return flow, fmt.Errorf("destination %w", err)
	}
	flow.Protocol = packet.TCP
	if !ports[0] {
		flow.Protocol = cli.AnyOther
	}
	if protocol != "" {
		if flow.Protocol, err = packet.ParseAnyProtocol(protocol); err != nil {
			return flow, err
		}
	}
	switch {
	case flow.Source.Addr().BitLen() != flow.Destination.Addr().BitLen():
		return flow, fmt.Errorf("%s to %s: want both of one address family", source, destination)
	case ports[0] != ports[1]:
		return flow, fmt.Errorf("%s to %s: want a port on both or on none", source, destination)
	case flow.Protocol.HasPorts() != ports[0]:
		return flow, fmt.Errorf("%s to %s: %v: want ports with tcp, udp and sctp only", source, destination, flow.Protocol)
	}
	return flow, nil
}

func parseEndpoint(s string) (e netip.AddrPort, port bool, err error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a, 0), false, nil
	}
	if e, err = netip.ParseAddrPort(s); err != nil || e.Addr().Zone() != "" {
		return e, false, fmt.Errorf(`%q is not an address, with a port or without: 192.0.2.1:80, "[2001:db8::1]:80"`, s)
	}
	return e, true, nil
}

// rowsAtOnce is the number of rows that are aligned with each other, so that output begins before all flows are read.
const rowsAtOnce = 1024

// many reads flows from standard input and prints where each one goes. It stops at the first line that
// is not a flow, after printing the flows before it.
func (f *flags) many(a *cli.App, c *cobra.Command, n *nic.NIC, blank cli.RSSAnswer, output cli.Format) error {
	if f.FlowFlag != (cli.FlowFlag{}) {
		return cli.Usage(c, "--src, --dst and --protocol with flows from standard input")
	}
	lines, out := bufio.NewScanner(a.Stdin), bufio.NewWriter(a.Stdout)
	w, encoder := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), cli.JSONLines(out)
	number, rows := 0, 0
	for lines.Scan() && c.Context().Err() == nil {
		number++
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		flow, err := parseLine(words)
		if err != nil {
			return flushed(w, out, cli.Usage(c, "line %d: %v", number, err))
		}
		answer := blank.Of(n, flow)
		if output == cli.FormatJSON {
			if err := encoder.Encode(answer); err != nil {
				return err
			}
			continue
		}
		if rows == 0 {
			cli.Row(w, "SOURCE", "DESTINATION", "PROTOCOL", "FIELDS", "HASH", "INDEX", "QUEUE")
		}
		cli.Row(w, answer.Source, answer.Destination, answer.Protocol, answer.Fields, answer.Hash, answer.Index, answer.Queue)
		if rows++; rows%rowsAtOnce == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return flushed(w, out, fmt.Errorf("read flows: line %d: %w", number+1, err))
	}
	return flushed(w, out, c.Context().Err())
}

func parseLine(words []string) (packet.Flow, error) {
	if len(words) != 2 && len(words) != 3 {
		return packet.Flow{}, fmt.Errorf("%d words: want SRC DST [PROTOCOL]", len(words))
	}
	return parseTuple(words[0], words[1], strings.Join(words[2:], ""))
}

// flushed writes what is buffered. It returns err, or if that is nil the error of writing.
func flushed(w *tabwriter.Writer, out *bufio.Writer, err error) error {
	if flush := w.Flush(); err == nil {
		err = flush
	}
	if flush := out.Flush(); err == nil {
		err = flush
	}
	return err
}
