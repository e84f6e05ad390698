package balance

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

// replicaLine is a replica with what was sent to it; scripts rely on its names.
type replicaLine struct {
	Service  string `json:"service_name"`
	VIP      string `json:"vip"`
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	State    string `json:"state"`
	Weight   int64  `json:"weight"`
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"bytes"`
	// Rate and Reason are those of api.ReplicaStatus.
	Rate   api.Rate `json:"lately"`
	Reason string   `json:"reason,omitempty"`
}

type replicaLines struct {
	Replicas []replicaLine `json:"replicas"`

	services []string
}

func getReplicas(a *cli.App) *cobra.Command {
	return listing[replicaLines]{
		command: cobra.Command{
			Use: "replicas [NAME]", Short: "Print the replicas and what was sent to them; NAME is a service",
			Long: `Print the replicas and what was sent to them since the tables were made; NAME is a service. Of replicas that
drain also how many packets a second come to them now, as far as that is known. REASON says why no packet gets to one.`,
			Example: "  lbctl get replicas\n  lbctl get replicas web -o json",
		},
		kind: "service", list: "get services",
		ask: askReplicas,
		keep: func(v *replicaLines, name string) []string {
			keepNamed(&v.Replicas, name, func(r replicaLine) string { return r.Service })
			return v.services // also those without a replica
		},
		table: printReplicas,
	}.make(a)
}

func printReplicas(w io.Writer, v replicaLines) {
	cli.Row(w, "SERVICE", "REPLICA", "STATE", "WEIGHT", "PACKETS", "BYTES", "PACKETS/S", "REASON")
	for _, r := range v.Replicas {
		cli.Row(w, r.Service, r.Address, r.State, r.Weight, r.Packets, r.Bytes, rateText(r), r.Reason)
	}
}

// rateText is how many packets a second come to a replica: a rate is of interest while it drains.
func rateText(r replicaLine) string {
	switch {
	case r.Rate.Known:
		return fmt.Sprintf("%.0f", r.Rate.PacketsPerSecond)
	case r.State == lb.Draining.String():
		return "unknown"
	}
	return ""
}

func askReplicas(ctx context.Context, d *client.Client) (replicaLines, error) {
	flows, err := d.Flows(ctx)
	if err != nil {
		return replicaLines{}, err
	}
	counters, err := d.Counters(ctx)
	if err != nil {
		return replicaLines{}, err
	}
	type key struct{ protocol, vip, replica string }
	counts := map[key]api.ReplicaCount{}
	for _, n := range counters.Replicas {
		counts[key{n.Protocol, n.VIP, n.Replica}] = n
	}
	lines := replicaLines{Replicas: []replicaLine{}}
	for _, s := range flows.Services {
		lines.services = append(lines.services, s.Name)
		for _, r := range s.Replicas {
			n := counts[key{s.Protocol, s.VIP, r.Address}]
			lines.Replicas = append(lines.Replicas, replicaLine{
				s.Name, s.VIP, s.Protocol, r.Address, r.State, *r.Weight, n.Packets, n.Bytes, r.Rate, r.Reason,
			})
		}
	}
	return lines, nil
}

func getFlows(a *cli.App) *cobra.Command {
	return listing[api.Flows]{
		command: cobra.Command{
			Use:   "flows [NAME]",
			Short: "Print what is remembered of flows, by service and replica; NAME is a service",
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
		table: printFlows,
	}.make(a)
}

func establishedText(f api.ReplicaFlows) string {
	if f.AtLeast {
		return fmt.Sprintf("%d+", f.Established)
	}
	return strconv.FormatUint(f.Established, 10)
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
			n := r.FlowCounts
			cli.Row(w, s.Name, r.Address, r.State, establishedText(n), n.HalfOpen, n.OldFlowSlots, cli.YesNo(r.SafeToRemove), r.DrainUntil)
		}
	}
}
