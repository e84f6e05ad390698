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
		Long: `Print what is remembered of flows: for every service how many slots are in transition, that is, their
owner changed and flows from before may still be with the previous one; for every replica its recorded
flows (half-open: only the first packet has come), the slots in transition whose old flows go to it, and
whether it can be removed without breaking any flow.`,
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
	cli.Row(w, "SERVICE", "TRACKING", "SLOTS", "IN TRANSITION")
	for _, s := range flows.Services {
		cli.Row(w, s.Name, s.Tracking, s.Slots, s.SlotsInTransition)
	}
	fmt.Fprintln(w)
	cli.Row(w, "SERVICE", "REPLICA", "STATE", "ESTABLISHED", "HALF-OPEN", "OLD-FLOW SLOTS", "SAFE TO REMOVE", "DRAIN UNTIL")
	for _, s := range flows.Services {
		for _, r := range s.Replicas {
			cli.Row(w, s.Name, r.Address, r.State, r.FlowCounts.Established, r.FlowCounts.HalfOpen, r.FlowCounts.OldFlowSlots, safeText(r.SafeToRemove), r.DrainUntil)
		}
	}
}

func safeText(safe bool) string {
	if safe {
		return "yes"
	}
	return "no"
}
