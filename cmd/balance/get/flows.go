package get

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

// replicaLines are the replicas, and the names of all services, also of those without one.
type replicaLines struct {
	api.Traffic
	services []string
}

func getReplicas(a *cli.App) *cobra.Command {
	return listing[replicaLines]{
		command: cobra.Command{
			Use: "replicas [NAME]", Aliases: []string{"replica"}, Short: "Print the replicas and what was sent to them; NAME is a service",
			Long: `Print the replicas and what was sent to them since the tables were made; NAME is a service. Of replicas that
drain also how many packets a second come to them now, as far as that is known. REASON says why no packet gets to one.`,
			Example: "  lbctl get replicas\n  lbctl get replicas web -o json",
		},
		kind: "service", list: "get services",
		ask: askReplicas,
		keep: func(v *replicaLines, name string) []string {
			keepNamed(&v.Replicas, name, func(r api.ReplicaTraffic) string { return r.ServiceName })
			return v.services
		},
		tables: replicaTable,
	}.make(a)
}

func replicaTable(v replicaLines, _ string) []show.Table {
	t := show.Table{Columns: []string{"SERVICE", "REPLICA", "STATE", "WEIGHT", "PACKETS", "BYTES", "PACKETS/S", "REASON"}}
	for _, r := range v.Replicas {
		t.Add("replica/"+r.ServiceName+"/"+r.Address, r.ServiceName, r.Address, r.State, *r.Weight, r.Packets, r.Bytes, rateCell(r), r.Reason)
	}
	return []show.Table{t}
}

// rateCell is how many packets a second come to a replica: a rate is of interest while it drains.
func rateCell(r api.ReplicaTraffic) show.Ranked {
	switch {
	case r.Rate.Known:
		return show.Ranked{Text: fmt.Sprintf("%.0f", r.Rate.PacketsPerSecond), Rank: r.Rate.PacketsPerSecond}
	case r.State == lb.Draining.String():
		return show.Ranked{Text: "unknown", Rank: -1}
	}
	return show.Ranked{Rank: -2}
}

func askReplicas(ctx context.Context, d *client.Client) (lines replicaLines, err error) {
	services, err := d.Services(ctx)
	if err != nil {
		return lines, err
	}
	for _, s := range services.Services {
		lines.services = append(lines.services, s.Name)
	}
	lines.Traffic, err = d.Traffic(ctx)
	return lines, err
}

func getFlows(a *cli.App) *cobra.Command {
	return listing[api.Flows]{
		command: cobra.Command{
			Use:     "flows [NAME]",
			Aliases: []string{"flow"},
			Short:   "Print what is remembered of flows, by service and replica; NAME is a service",
			Long: `Print what is remembered of flows: for every service how many slots are in transition, that is, their
owner changed and flows from before may still be with the previous one; for every replica its recorded
flows (half-open: only the first packet has come), the slots in transition whose old flows go to it, and
whether it can be removed without breaking any flow. With a + it may have more flows than the recorded
ones: how many is not known.`,
			Example: "  lbctl get flows\n  lbctl get flows web -o json",
		},
		kind: "service", list: "get services",
		ask: func(ctx context.Context, d *client.Client) (api.Flows, error) { return d.Flows(ctx) },
		keep: func(v *api.Flows, name string) []string {
			return keepNamed(&v.Services, name, func(s api.ServiceFlows) string { return s.Name })
		},
		tables: flowTables,
	}.make(a)
}

func establishedCell(f api.ReplicaFlows) show.Ranked {
	n := show.Ranked{Text: fmt.Sprint(f.Established), Rank: float64(f.Established)}
	if f.AtLeast {
		n.Text += "+"
	}
	return n
}

func flowTables(flows api.Flows, _ string) []show.Table {
	services := show.Table{Columns: []string{"SERVICE", "TRACKING", "SLOTS", "IN TRANSITION"}}
	replicas := show.Table{Columns: []string{"SERVICE", "REPLICA", "STATE", "ESTABLISHED", "HALF-OPEN", "OLD-FLOW SLOTS", "SAFE TO REMOVE", "DRAIN UNTIL"}}
	for _, s := range flows.Services {
		services.Add("service/"+s.Name, s.Name, s.Tracking, s.Slots, s.SlotsInTransition)
		for _, r := range s.Replicas {
			n := r.FlowCounts
			replicas.Add("replica/"+s.Name+"/"+r.Address, s.Name, r.Address, r.State, establishedCell(n), n.HalfOpen, n.OldFlowSlots, cli.YesNo(r.SafeToRemove), r.DrainUntil)
		}
	}
	return []show.Table{services, replicas}
}
