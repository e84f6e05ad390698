package hash

import (
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// adjustAnswer is what lbctl rss ports --adjust prints; scripts rely on its names.
type adjustAnswer struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Protocol    string `json:"protocol"`
	// Adjusted is the port that changes, source or destination, Mask its bits that may.
	Adjusted string `json:"adjusted"`
	Mask     string `json:"mask"`
	// Rank is how many of the IndexBits bits of the index they change independently; they reach 2^Rank entries.
	Rank      int `json:"rank"`
	IndexBits int `json:"index_bits"`
	// Port has the fewest changed bits of all Ports; absent, with the next three, when none leads to a wanted entry.
	Port  *uint16     `json:"port,omitempty"`
	Hash  string      `json:"hash,omitempty"`
	Index *int        `json:"index,omitempty"`
	Queue *rss.Queue  `json:"queue,omitempty"`
	Ports [][2]uint16 `json:"ports"`
	Count int         `json:"port_count"`

	was    uint16
	wanted string
}

// adjust solves for the ports that lead to the wanted entries.
func (f *portsFlag) adjust(c *cobra.Command) (*adjustAnswer, error) {
	for _, other := range []string{"range", "reply", "reply-queue"} {
		if c.Flags().Changed(other) {
			return nil, cli.Usage(c, "--adjust and --%s: want one of them", other)
		}
	}
	flow, err := f.whole(c)
	if err != nil {
		return nil, err
	}
	destination, mask, err := parseAdjust(f.bits)
	if err != nil {
		return nil, cli.Usage(c, "--adjust: %v", err)
	}
	there, err := steering(c, "--queue", *f.server.Setup, f.queues)
	if err != nil {
		return nil, err
	}
	a, err := there.nic.Adjust(flow, destination, mask)
	if err != nil {
		return nil, cli.Usage(c, "--adjust: %v", err)
	}
	entries, wanted, err := f.entriesOf(c, there)
	if err != nil {
		return nil, err
	}
	said := &adjustAnswer{
		Source: flow.Source.String(), Destination: flow.Destination.String(), Protocol: flow.Protocol.String(), Adjusted: "source",
		Mask: fmt.Sprintf("0x%04x", mask), Rank: a.Rank(), IndexBits: a.IndexBits(), was: flow.Source.Port(), wanted: wanted,
	}
	if destination {
		said.Adjusted, said.was = "destination", flow.Destination.Port()
	}
	var ports []uint16
	for _, entry := range entries {
		ports = append(ports, a.Ports(entry)...)
	}
	said.found(there.nic, a, ports)
	return said, nil
}

// found fills in the ports.
func (s *adjustAnswer) found(n *nic.NIC, a *nic.Adjustment, ports []uint16) {
	slices.Sort(ports)
	s.Count, s.Ports = len(ports), [][2]uint16{}
	lead := func(i int) bool { _, is := slices.BinarySearch(ports, uint16(i)); return is }
	for _, r := range nic.PortsWhere(nic.PortRange{Last: 0xffff}, lead) {
		s.Ports = append(s.Ports, [2]uint16{r.First, r.Last})
	}
	if len(ports) == 0 {
		return
	}
	best := slices.MinFunc(ports, func(a, b uint16) int { return bits.OnesCount16(a^s.was) - bits.OnesCount16(b^s.was) })
	r := n.ClassifyFlow(a.Flow(best))
	s.Port, s.Hash, s.Index, s.Queue = &best, fmt.Sprintf("0x%08x", r.Hash), &r.Index, &r.Queue
}

// whole reads the two ends, both with ports.
func (f *portsFlag) whole(c *cobra.Command) (packet.Flow, error) {
	source, err := netip.ParseAddrPort(f.source)
	if f.source != "" && err != nil {
		return packet.Flow{}, cli.Usage(c, `--src: %q is not an address and a port, of which --adjust changes bits: 198.51.100.7:40000`, f.source)
	}
	g := *f
	if err == nil {
		g.source = source.Addr().String()
	}
	flow, err := g.flow(c)
	flow.Source = netip.AddrPortFrom(flow.Source.Addr(), source.Port())
	return flow, err
}

// parseAdjust reads "7", the low seven bits of the source port, or "dst:0x00fe", bits of the destination port.
func parseAdjust(text string) (destination bool, mask uint16, err error) {
	wrong := fmt.Errorf("%q: want how many low bits of the source port may change, 1 to 16, or a mask: 7, 0x00fe, dst:7", text)
	of, number, ok := strings.Cut(text, ":")
	if !ok {
		of, number = "src", text
	}
	digits, isMask := strings.CutPrefix(number, "0x")
	n, err := strconv.ParseUint(digits, map[bool]int{false: 10, true: 16}[isMask], 16)
	if err != nil || n == 0 || !isMask && n > 16 || of != "src" && of != "dst" {
		return false, 0, wrong
	}
	if !isMask {
		n = 1<<n - 1
	}
	return of == "dst", uint16(n), nil
}

// entriesOf returns the wanted entries, and words for them.
func (f *portsFlag) entriesOf(c *cobra.Command, s *steerer) (entries []int, words string, err error) {
	table := s.nic.Config().Table
	switch {
	case (len(f.queues) > 0) == (len(f.entries) > 0):
		return nil, "", cli.Usage(c, "--adjust: want --queue or --entry")
	case len(f.entries) > 0:
		for _, e := range f.entries {
			if e < 0 || e >= len(table) {
				return nil, "", cli.Usage(c, "--entry: %d: want 0 to %d", e, len(table)-1)
			}
			if !slices.Contains(entries, e) {
				entries = append(entries, e)
			}
		}
		return entries, "entry " + list(f.entries), nil
	}
	for i, q := range table {
		if slices.Contains(f.queues, int(q)) {
			entries = append(entries, i)
		}
	}
	return entries, "queue " + list(f.queues), nil
}

func list(numbers []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", " or ")
}

// verdict is the answer in a sentence.
func (s *adjustAnswer) verdict() string {
	reach := fmt.Sprintf("the bits %s change %d of the %d bits of the index, and reach %d of %d entries", s.Mask, s.Rank, s.IndexBits, 1<<s.Rank, 1<<s.IndexBits)
	switch {
	case s.Port == nil:
		return fmt.Sprintf("No %s port leads to %s: %s.", s.Adjusted, s.wanted, reach)
	case *s.Port == s.was:
		return fmt.Sprintf("The %s port %d leads to %s as it is.", s.Adjusted, s.was, s.wanted)
	}
	return fmt.Sprintf("The %s port %d leads to %s: the bits 0x%04x of %d change.", s.Adjusted, *s.Port, s.wanted, *s.Port^s.was, s.was)
}

func (s *adjustAnswer) show(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", s.verdict())
	if s.Port != nil {
		cli.Row(w, "port", *s.Port)
		cli.Row(w, "queue", *s.Queue)
		cli.Row(w, "index", *s.Index)
		cli.Row(w, "hash", s.Hash)
		cli.Row(w, "ports", rangesText(s.Ports))
		cli.Row(w, "count", fmt.Sprintf("%d of %d", s.Count, s.tried()))
	}
	cli.Row(w, "rank", fmt.Sprintf("%d of %d bits of the index", s.Rank, s.IndexBits))
}

// tried is how many ports the mask allows.
func (s *adjustAnswer) tried() int {
	mask, _ := strconv.ParseUint(s.Mask, 0, 16) // written above
	return 1 << bits.OnesCount64(mask)
}

// failure is the error of an answer without a port.
func (s *adjustAnswer) failure() error {
	if s.Port != nil {
		return nil
	}
	return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("no %s port with other bits %s leads to %s", s.Adjusted, s.Mask, s.wanted),
		Do: "allow more bits, or other queues or entries; lbctl rss key analyse says what the key does to ports"}
}
