package set

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
)

// liveFlows returns the flows of --observe or --flows, nil without either.
func (f *flags) liveFlows(a *cli.App, c *cobra.Command, name string) ([]packet.Flow, error) {
	switch {
	case f.observe > 0:
		return observeFlows(a, c.Context(), name, f.observe)
	case f.flows == "-":
		return flowsOf(c, "stdin", a.Stdin)
	case f.flows != "":
		file, err := os.Open(f.flows)
		if err != nil {
			return nil, cli.Advise(err, "name a file of flows, one a line: tcp 192.0.2.1:1234 198.51.100.1:80")
		}
		defer file.Close()
		return flowsOf(c, f.flows, file)
	}
	return nil, nil
}

// observeFlows observes an interface on a packet socket, which does not disturb the NIC.
func observeFlows(a *cli.App, ctx context.Context, name string, duration time.Duration) ([]packet.Flow, error) {
	var flows []packet.Flow
	err := a.Observe(ctx, name, observe.Socket, duration, func(o *observe.Observer) error {
		seen, err := o.Flows()
		flows = make([]packet.Flow, 0, len(seen))
		for _, s := range seen {
			flows = append(flows, s.Flow)
		}
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return flows, err
}

// flowsOf reads one flow a line; empty lines and those that begin with # are skipped.
func flowsOf(c *cobra.Command, name string, r io.Reader) ([]packet.Flow, error) {
	flows := []packet.Flow{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		flow, err := flowOfLine(text)
		if err != nil {
			return nil, cli.Usage(c, "%s:%d: %v", name, n, err)
		}
		flows = append(flows, flow)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return flows, nil
}

// flowOfLine reads "tcp 192.0.2.1:1234 > 198.51.100.1:80", with the arrow or without.
func flowOfLine(text string) (packet.Flow, error) {
	words := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return w == ">" })
	if len(words) != 3 {
		return packet.Flow{}, fmt.Errorf("%q: want tcp or udp, source and destination", text)
	}
	protocol, err := packet.ParseProtocol(words[0])
	if err != nil {
		return packet.Flow{}, err
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		if ends[i], err = netip.ParseAddrPort(words[1+i]); err != nil {
			return packet.Flow{}, fmt.Errorf("%q is not an address and a port", words[1+i])
		}
		ends[i] = netip.AddrPortFrom(ends[i].Addr().Unmap(), ends[i].Port())
	}
	if ends[0].Addr().Is4() != ends[1].Addr().Is4() {
		return packet.Flow{}, fmt.Errorf("%v to %v: want both of one address family", ends[0].Addr(), ends[1].Addr())
	}
	return packet.Flow{Source: ends[0], Destination: ends[1], Protocol: protocol}, nil
}
