package balance

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
	"lbctl/lb/decap"
)

// decapInterface is an attached interface; scripts rely on its names.
type decapInterface struct {
	Name    string       `json:"name"`
	Index   int          `json:"ifindex"`
	Mode    string       `json:"mode"`
	Local   []netip.Addr `json:"local"`
	VIPs    []netip.Addr `json:"vips"` // empty: any
	Ports   []uint16     `json:"udp_ports"`
	Reasons []decapCount `json:"reasons"`
}

// decapCount counts the packets of one reason.
type decapCount struct {
	Reason  lb.Reason `json:"reason"`
	Packets uint64    `json:"packets"`
	Bytes   uint64    `json:"bytes"`
}

type decapInterfaces struct {
	Interfaces []decapInterface `json:"interfaces"`
}

// newDecapInterface describes an interface. Its counts are sorted: the most frequent reason first.
func newDecapInterface(i decap.Interface) decapInterface {
	u := decapInterface{
		Name: i.Name, Index: i.Index, Mode: i.Mode.String(),
		Reasons: []decapCount{}, Local: append([]netip.Addr{}, i.Locals...), VIPs: append([]netip.Addr{}, i.VIPs...), Ports: append([]uint16{}, i.Ports...),
	}
	for reason, n := range i.Reasons {
		u.Reasons = append(u.Reasons, decapCount{reason, n.Packets, n.Bytes})
	}
	slices.SortFunc(u.Reasons, func(a, b decapCount) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
	})
	return u
}

func decapListCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "Print the attached interfaces, and count their packets by reason",
		Example: `  lbctl decap list
  lbctl decap list -o json`,
		Args: cli.Takes(),
	}
	dir := decapDirFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		found, err := decap.List(*dir)
		if err != nil {
			return adviseDecap(err, "")
		}
		all := decapInterfaces{Interfaces: []decapInterface{}}
		for _, i := range found {
			all.Interfaces = append(all.Interfaces, newDecapInterface(i))
		}
		return a.Print(*f, all, func(w io.Writer) {
			cli.Row(w, "NAME", "INDEX", "MODE", "LOCAL", "UDP", "VIPS", "PACKETS")
			for _, u := range all.Interfaces {
				cli.Row(w, u.Name, u.Index, u.Mode, joined(u.Local, "none"), portsText(u.Ports, "none"), joined(u.VIPs, "any"), u.packets())
			}
		})
	}
	return c
}

// packets returns "12 decapsulated, 3 not_tunnel": the reasons that packets had.
func (u decapInterface) packets() string {
	var some []string
	for _, n := range u.Reasons {
		if n.Packets > 0 {
			some = append(some, fmt.Sprintf("%d %s", n.Packets, n.Reason))
		}
	}
	return strings.Join(some, ", ")
}

// joined returns addresses with commas between them, or none if there are none.
func joined(addresses []netip.Addr, none string) string {
	if len(addresses) == 0 {
		return none
	}
	text := make([]string, len(addresses))
	for i, a := range addresses {
		text[i] = a.String()
	}
	return strings.Join(text, ",")
}

// portsText returns ports with commas between them, or none if there are none.
func portsText(ports []uint16, none string) string {
	if len(ports) == 0 {
		return none
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ","), "[]")
}

// addressesFlag parses the values of a flag.
func addressesFlag(c *cobra.Command, name string, texts []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, text := range texts {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return nil, cli.Usage(c, "--%s: %q is no IP address", name, text)
		}
		all = append(all, a)
	}
	return all, nil
}
