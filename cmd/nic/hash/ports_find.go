package hash

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/setup"
)

// find tries the ports.
func (f *portsFlag) find(c *cobra.Command) (*portsAnswer, error) {
	flow, err := f.flow(c)
	if err != nil {
		return nil, err
	}
	among, err := parsePorts(f.among)
	if err != nil {
		return nil, cli.Usage(c, "--range: %v", err)
	}
	if f.reply != "" && f.replyQueues == nil {
		return nil, cli.Usage(c, "--reply without --reply-queue")
	}
	there, err := steering(c, "--queue", *f.server.Setup, f.queues)
	if err != nil {
		return nil, err
	}
	to := there.nic.PortQueues(flow, among)
	answer := &portsAnswer{
		Source: flow.Source.Addr().String(), Destination: flow.Destination.String(), Protocol: flow.Protocol.String(),
		Range: [2]uint16{among.First, among.Last}, Queues: there.count(to), Ports: [][2]uint16{},
	}
	wanted := func(i int) bool { return there.wants(to[i]) }
	if f.replyQueues != nil {
		back, err := f.back(c)
		if err != nil {
			return nil, err
		}
		from := back.nic.ReplyQueues(flow, among)
		answer.ReplyQueues = back.count(from)
		wanted = func(i int) bool { return there.wants(to[i]) && back.wants(from[i]) }
	}
	for _, r := range nic.PortsWhere(among, wanted) {
		answer.Ports = append(answer.Ports, [2]uint16{r.First, r.Last})
		answer.Count += r.Size()
	}
	return answer, nil
}

// back is the steering of the replies.
func (f *portsFlag) back(c *cobra.Command) (*steerer, error) {
	spec := *f.server.Setup
	if f.reply != "" {
		var err error
		if spec, err = spec.With(f.reply); err != nil {
			return nil, cli.Usage(c, "--reply: %v", err)
		}
	}
	return steering(c, "--reply-queue", spec, f.replyQueues)
}

// flow reads the two ends; the source has no port yet.
func (f *portsFlag) flow(c *cobra.Command) (flow packet.Flow, err error) {
	switch {
	case f.source == "":
		return flow, cli.Usage(c, "missing --src ADDRESS")
	case f.destination == "":
		return flow, cli.Usage(c, "missing --dst ADDRESS:PORT")
	}
	source, err := netip.ParseAddr(f.source)
	if err != nil || source.Zone() != "" {
		return flow, cli.Usage(c, "--src: %q is not an address; the ports are the result", f.source)
	}
	destination, err := netip.ParseAddrPort(f.destination)
	if err != nil || destination.Addr().Zone() != "" {
		return flow, cli.Usage(c, `--dst: %q is not an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"`, f.destination)
	}
	flow.Source = netip.AddrPortFrom(source.Unmap(), 0)
	flow.Destination = netip.AddrPortFrom(destination.Addr().Unmap(), destination.Port())
	if flow.Source.Addr().Is4() != flow.Destination.Addr().Is4() {
		return flow, cli.Usage(c, "--src: %v to %v: want both of one address family", source, destination.Addr())
	}
	if flow.Protocol, err = packet.ParseAnyProtocol(f.protocol); err != nil || !flow.Protocol.HasPorts() {
		return flow, cli.Usage(c, "--protocol: %q has no ports: want tcp, udp or sctp", f.protocol)
	}
	return flow, nil
}

// parsePorts reads "32768-60999", or one port.
func parsePorts(text string) (nic.PortRange, error) {
	low, high, ok := strings.Cut(text, "-")
	if !ok {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if err != nil || err2 != nil || last < first {
		return nic.PortRange{}, fmt.Errorf("%q: want ports from 0 to 65535, the lower one first: 32768-60999", text)
	}
	return nic.PortRange{First: uint16(first), Last: uint16(last)}, nil
}

// steerer is a NIC and its wanted queues; none means all.
type steerer struct {
	nic    *nic.NIC
	queues []int
	all    int
}

func steering(c *cobra.Command, flag string, spec setup.Setup, queues []int) (*steerer, error) {
	n, err := spec.NIC()
	if err != nil {
		return nil, cli.SetupFailure(c, err)
	}
	s := &steerer{nic: n, queues: queues, all: n.Config().Table.Queues()}
	unreachable := n.Config().Table.Unreachable(s.all)
	for _, q := range queues {
		if q < 0 || q >= s.all {
			return nil, cli.Usage(c, "%s: %d is no queue of the indirection table: want 0 to %d", flag, q, s.all-1)
		}
		if slices.Contains(unreachable, rss.Queue(q)) {
			return nil, cli.Usage(c, "%s: no entry of the indirection table names queue %d: no flow comes to it", flag, q)
		}
	}
	return s, nil
}

func (s *steerer) wants(q rss.Queue) bool {
	return len(s.queues) == 0 || slices.Contains(s.queues, int(q))
}

// count counts the ports by queue.
func (s *steerer) count(queues []rss.Queue) []queuePorts {
	all := make([]queuePorts, s.all)
	for q := range all {
		all[q] = queuePorts{Queue: rss.Queue(q), Wanted: s.wants(rss.Queue(q))}
	}
	for _, q := range queues {
		all[q].Ports++
	}
	return all
}
