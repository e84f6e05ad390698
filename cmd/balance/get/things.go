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

func getServices(a *cli.App) *cobra.Command {
	return listing[api.Services]{
		command: cobra.Command{Use: "services [NAME]", Aliases: []string{"service"}, Short: "Print the services, or one",
			Example: "  lbctl get services -o json\n  lbctl get service web -o wide"},
		kind: "service", list: "get services", path: "/v1/services",
		ask: func(ctx context.Context, d *client.Client, one string) (api.Services, error) {
			return d.Services(ctx, named(one)...)
		},
		names: cli.Services,
		tables: func(v api.Services, _ string) []show.Table {
			t := show.Table{Narrow: 9, Columns: []string{"NAME", "VIP", "PROTOCOL", "MODE", "SCHEDULER", "HASH", "TRACKING", "SLOTS", "REPLICAS",
				"ACTIVE", "SEED", "IDLE", "ENCAPSULATION", "TUNNEL PORT", "TUNNEL SOURCES", "POOL", "LIMITS"}}
			for _, s := range v.Services {
				port := any("")
				if s.TunnelPort != nil {
					port = *s.TunnelPort
				}
				t.Add("service/"+s.Name, s.Name, cli.Address(s), s.Protocol, s.Mode, s.Scheduler, s.Hash, s.Tracking, slotsOf(s), len(s.Replicas),
					activeOf(s), s.Seed, s.Idle, s.Encapsulation, port, s.TunnelSources, s.Pool, limitsOf(s))
			}
			return []show.Table{t}
		},
	}.make(a)
}

// limitsOf says what keeps packets from a service's replicas: "2 ranges, 500000 packets/s, 2000 flows/s".
func limitsOf(s api.Service) string {
	var limits []string
	if n := len(s.SourceRanges); n > 0 {
		limits = append(limits, cli.Many(n, "range"))
	}
	if r := s.RateLimit; r != nil && r.PacketsPerSecond != nil {
		limits = append(limits, fmt.Sprintf("%d packets/s", *r.PacketsPerSecond))
	}
	if r := s.RateLimit; r != nil && r.NewFlowsPerSecond != nil {
		limits = append(limits, fmt.Sprintf("%d flows/s", *r.NewFlowsPerSecond))
	}
	return strings.Join(limits, ", ")
}

// slotsOf is the number of slots of a service's table: of modulo, that of its active replicas.
func slotsOf(s api.Service) int64 {
	if s.TableSize != nil {
		return *s.TableSize
	}
	return activeOf(s)
}

// activeOf is the number of a service's active replicas.
func activeOf(s api.Service) (n int64) {
	for _, r := range s.Replicas {
		if r.State == lb.Active.String() {
			n++
		}
	}
	return n
}

func getInterfaces(a *cli.App) *cobra.Command {
	return listing[api.Interfaces]{
		command: cobra.Command{Use: "interfaces [NAME]", Aliases: []string{"interface"},
			Short: "Print the interfaces that are attached, or wanted and missing, or one", Example: "  lbctl get interfaces"},
		kind: "interface", list: "get interfaces",
		ask: func(ctx context.Context, d *client.Client, _ string) (api.Interfaces, error) {
			return d.Interfaces(ctx)
		},
		keep: func(v *api.Interfaces, name string) []string {
			return keepNamed(&v.Interfaces, name, func(i api.InterfaceStatus) string { return i.Name })
		},
		tables: func(v api.Interfaces, _ string) []show.Table {
			t := show.Table{Columns: []string{"NAME", "STATE", "INDEX", "MODE", "REQUESTED", "REASON"}}
			for _, i := range v.Interfaces {
				t.Add("interface/"+i.Name, i.Name, i.State, i.IfIndex, i.Mode, i.RequestedMode, i.Reason)
			}
			return []show.Table{t}
		},
	}.make(a)
}

func getPools(a *cli.App) *cobra.Command {
	return listing[api.Pools]{
		command: cobra.Command{Use: "pools [NAME]", Aliases: []string{"pool"}, Short: "Print the pools of replicas, or one, and who uses them",
			Example: "  lbctl get pools\n  lbctl get pool backends -o yaml"},
		kind: "pool", list: "get pools",
		ask: func(ctx context.Context, d *client.Client, _ string) (api.Pools, error) { return d.Pools(ctx) },
		keep: func(v *api.Pools, name string) []string {
			return keepNamed(&v.Pools, name, func(p api.PoolStatus) string { return p.Name })
		},
		tables: func(v api.Pools, _ string) []show.Table {
			t := show.Table{Narrow: 3, Columns: []string{"NAME", "REPLICAS", "SERVICES", "USED BY"}}
			for _, p := range v.Pools {
				t.Add("pool/"+p.Name, p.Name, len(p.Replicas), len(p.UsedBy), strings.Join(p.UsedBy, ","))
			}
			return []show.Table{t}
		},
	}.make(a)
}
