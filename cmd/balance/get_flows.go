package balance

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

func getFlows(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "flows [SERVICE]",
		Short: "Print what is remembered of flows, by service and replica",
		Long: `Print what is remembered of flows: how many slots are marked since a change of the replicas, and for
every replica the recorded flows (embryonic ones have only started), the marked slots in which it still
gets flows from before the change, and whether it can be removed without breaking any.`,
		Example: "  lbctl get flows\n  lbctl get flows web -o json",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return cli.Takes("SERVICE")(c, args)
		},
	}
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := client.New(a.Socket)
		defer d.Close()
		flows, err := d.Flows(c.Context())
		if err != nil {
			return err
		}
		if len(args) == 1 {
			if flows.Services, err = only(flows.Services, args[0]); err != nil {
				return err
			}
		}
		return a.Print(*f, flows, func(w io.Writer) { printFlows(w, flows) })
	}
	return c
}

// only returns the service of a name alone.
func only(services []api.ServiceFlows, name string) ([]api.ServiceFlows, error) {
	n := slices.IndexFunc(services, func(s api.ServiceFlows) bool { return s.Name == name })
	if n < 0 {
		return nil, cli.Advise(fmt.Errorf("service %q: %w", name, lb.ErrNotFound), "list what there is: lbctl get services")
	}
	return services[n : n+1], nil
}

func printFlows(w io.Writer, flows api.Flows) {
	cli.Row(w, "SERVICE", "TRACKING", "SLOTS", "MARKED")
	for _, s := range flows.Services {
		cli.Row(w, s.Name, s.Tracking, s.Slots, s.MarkedSlots)
	}
	fmt.Fprintln(w)
	cli.Row(w, "SERVICE", "REPLICA", "STATE", "ESTABLISHED", "EMBRYONIC", "OLDER SLOTS", "SAFE TO REMOVE", "DRAIN UNTIL")
	for _, s := range flows.Services {
		for _, r := range s.Replicas {
			cli.Row(w, s.Name, r.Address, r.State, r.FlowCounts.Established, r.FlowCounts.Embryonic, r.FlowCounts.OlderSlots, safeText(r.SafeToRemove), r.DrainUntil)
		}
	}
}

func safeText(safe bool) string {
	if safe {
		return "yes"
	}
	return "no"
}
