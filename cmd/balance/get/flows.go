package get

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

func getFlows(a *cli.App) *cobra.Command {
	var flags *show.Flags
	c := listing[api.Flows]{
		command: cobra.Command{
			Use:     "flows [NAME]",
			Aliases: []string{"flow"},
			Short:   "Print what is remembered of flows, by service and replica; NAME is a service",
			Long: `Print what is remembered of flows: for every service how many slots are in transition, that is, their
owner changed and flows from before may still be with the previous one; for every replica its recorded
flows (half-open: only the first packet has come), the slots in transition whose old flows go to it, and
whether it can be removed without breaking any flow: one that drains is then called drained, and down at its deadline. With a + it may have more flows than the recorded
ones: how many is not known.

With --client it lists the recorded flows of a client to the service NAME, or of the at most 16 addresses of a prefix. A
record holds no address: every port of the client is tried, some 10 ms for each address; of a service with an end_port, with
the port that --port names.`,
			Example: "  lbctl get flows\n  lbctl get flows web -o json\n  lbctl get flows web --client 198.51.100.7",
		},
		kind: "service", list: "get services",
		ask: func(ctx context.Context, d *client.Client, one string) (api.Flows, error) {
			return d.Flows(ctx, named(one)...)
		},
		names:  cli.Services,
		tables: flowTables,
		flags:  func(f *show.Flags) { flags = f },
	}.make(a)
	of := c.Flags().String("client", "", "list the recorded flows of this address, or prefix")
	port := c.Flags().Uint16("port", 0, "with --client, the port of the service, if it has several")
	limit := c.Flags().Int("limit", 1000, "with --client, list at most so many")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case *of == "" && c.Flags().Changed("limit"):
			return cli.Usage(c, "--limit without --client")
		case *of == "" && c.Flags().Changed("port"):
			return cli.Usage(c, "--port without --client")
		case *of == "":
			return run(c, args)
		case len(args) == 0:
			return cli.Usage(c, "--client without NAME: want the name of a service")
		case *limit < 1 || *limit > mostRecords:
			return cli.Usage(c, "--limit: %d is out of range: want 1 to %d", *limit, mostRecords)
		}
		d := a.Client()
		defer d.Close()
		return flags.Run(a, c, func(ctx context.Context) (show.Answer, error) {
			return listRecords(ctx, d, args[0], *port, *of, *limit)
		})
	}
	return c
}

// mostRecords is how many flows are listed: all that 16 clients can have.
const mostRecords = 16 << 16

// listRecords asks for page after page.
func listRecords(ctx context.Context, d *client.Client, service string, port uint16, of string, limit int) (a show.Answer, err error) {
	const page = 10000
	all := api.RecordedFlows{Flows: []api.RecordedFlow{}}
	for after := ""; len(all.Flows) < limit; {
		now, err := d.RecordedFlows(ctx, service, port, of, after, min(page, limit-len(all.Flows)))
		if err != nil {
			return a, err
		}
		all.Flows, all.Next = append(all.Flows, now.Flows...), now.Next
		if after = now.Next; after == "" {
			break
		}
	}
	t := show.Table{Columns: []string{"CLIENT", "REPLICA", "RECORD", "CLOSED BY", "SILENT FOR"}}
	for _, f := range all.Flows {
		t.Add("flow/"+f.Client, f.Client, f.Replica, strings.ReplaceAll(f.Record, "_", "-"), closedBy(f), f.SilentFor)
	}
	a = show.Answer{Value: all, Tables: []show.Table{t}}
	if all.Next != "" {
		a.Notes = append(a.Notes, fmt.Sprintf("there are more than %d: ask for more with --limit", limit))
	}
	return a, nil
}

func closedBy(f api.RecordedFlow) string {
	switch {
	case f.ClosedByClient && f.ClosedByReplica:
		return "both"
	case f.ClosedByClient:
		return "client"
	case f.ClosedByReplica:
		return "replica"
	}
	return ""
}

// establishedCell is the number of recorded flows, with a + if there may be more.
func establishedCell(f api.ReplicaFlows) show.Ranked {
	n := show.Ranked{Text: fmt.Sprint(f.Established), Rank: float64(f.Established)}
	if f.AtLeast {
		n.Text += "+"
	}
	return n
}

// stateCell is the state of a replica: one that drains and has no flow left, as far as is known, is drained.
func stateCell(r api.ReplicaStatus) string {
	if r.State == lb.Draining.String() && r.DrainPhase != "" {
		return r.DrainPhase
	}
	return r.State
}

func flowTables(flows api.Flows, _ string) []show.Table {
	services := show.Table{Columns: []string{"SERVICE", "TRACKING", "SLOTS", "IN TRANSITION"}}
	replicas := show.Table{Columns: []string{"SERVICE", "REPLICA", "STATE", "ESTABLISHED", "HALF-OPEN", "OLD-FLOW SLOTS", "SAFE TO REMOVE", "DRAIN UNTIL"}}
	for _, s := range flows.Services {
		services.Add("service/"+s.Name, s.Name, s.Tracking, s.Slots, s.SlotsInTransition)
		for _, r := range s.Replicas {
			n := r.FlowCounts
			replicas.Add("replica/"+s.Name+"/"+r.Address, s.Name, r.Address, stateCell(r), establishedCell(n), n.HalfOpen, n.OldFlowSlots, cli.YesNo(r.SafeToRemove), r.DrainUntil)
		}
	}
	return []show.Table{services, replicas}
}
