package describe

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

func describePool(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "pool NAME",
		Aliases: []string{"pools"},
		Short:   "Tell all of one pool: its replicas, and the services that use it with their conditions",
		Example: "  lbctl describe pool backends",
		Args:    cli.Takes("NAME"),
	}
	a.Complete(c, cli.Pools)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := a.Client()
		defer d.Close()
		all, err := d.Pools(c.Context())
		if err != nil {
			return err
		}
		state, err := d.Status(c.Context())
		if err != nil {
			return err
		}
		var names []string
		for _, p := range all.Pools {
			if names = append(names, p.Name); p.Name == args[0] {
				return a.Print(cli.FormatTable, nil, func(w io.Writer) { printPool(w, p, state) })
			}
		}
		return cli.NotFound("pool", args[0], names, "list what there is: lbctl get pools")
	}
	return c
}

func printPool(w io.Writer, p api.PoolStatus, state api.Status) {
	field(w, "Name", p.Name)
	fmt.Fprintln(w, "Replicas:")
	cli.Row(w, "  ADDRESS", "STATE", "WEIGHT", "DRAIN UNTIL")
	for _, r := range p.Replicas {
		cli.Row(w, "  "+r.Address, r.State, weight(r), r.DrainUntil)
	}
	if len(p.UsedBy) == 0 {
		fmt.Fprintln(w, "Used by:\tno service")
		return
	}
	fmt.Fprintln(w, "Used by:")
	cli.Row(w, "  NAME", "VIP", "PROGRAMMED", "HEALTHY", "READY")
	for _, s := range state.Services {
		if slices.Contains(p.UsedBy, s.Name) {
			cli.Row(w, "  "+s.Name, s.Protocol+" "+cli.Ranged(s.VIP, s.EndPort), status(s, "Programmed"), status(s, "Healthy"), status(s, "Ready"))
		}
	}
}

// status is the status of a condition of a service.
func status(of api.ServiceConditions, kind string) string {
	for _, c := range of.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return ""
}
