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

// decapsulation is an interface that decapsulates, as it is printed.
type decapsulation struct {
	Name    string       `json:"name"`
	Index   int          `json:"index"`
	Mode    string       `json:"mode"`
	Local   []netip.Addr `json:"local"`
	VIPs    []netip.Addr `json:"vips"` // empty: any
	Reasons []decapCount `json:"reasons"`
}

// decapCount is what ended as one reason.
type decapCount struct {
	Reason  lb.Reason `json:"reason"`
	Packets uint64    `json:"packets"`
	Bytes   uint64    `json:"bytes"`
}

type decapsulations struct {
	Interfaces []decapsulation `json:"interfaces"`
}

// decapsulationOf sorts the counts: the most frequent reason first.
func decapsulationOf(i decap.Interface) decapsulation {
	u := decapsulation{
		Name: i.Name, Index: i.Index, Mode: i.Mode.String(),
		Local: append([]netip.Addr{}, i.Locals...), VIPs: append([]netip.Addr{}, i.VIPs...),
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
		Short: "Print the interfaces that decapsulate, and what became of their packets",
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
		all := decapsulations{Interfaces: []decapsulation{}}
		for _, i := range found {
			all.Interfaces = append(all.Interfaces, decapsulationOf(i))
		}
		return a.Print(*f, all, func(w io.Writer) {
			cli.Row(w, "NAME", "INDEX", "MODE", "LOCAL", "VIPS", "PACKETS")
			for _, u := range all.Interfaces {
				cli.Row(w, u.Name, u.Index, u.Mode, joined(u.Local, "none"), joined(u.VIPs, "any"), u.packets())
			}
		})
	}
	return c
}

// packets is "12 decapsulated, 3 not_tunnel", those reasons that were met.
func (u decapsulation) packets() string {
	var some []string
	for _, n := range u.Reasons {
		if n.Packets > 0 {
			some = append(some, fmt.Sprintf("%d %s", n.Packets, n.Reason))
		}
	}
	return strings.Join(some, ", ")
}

// joined writes addresses one behind the other, or what stands for none.
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

// addressesFlag reads the addresses that a flag was given.
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
