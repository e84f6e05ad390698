package balance

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

func getCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "get",
		Short: "Print services, replicas, flows, interfaces or counters",
		Example: `  lbctl get services
  lbctl get flows web
  lbctl get counters -o json`,
	}, getServices(a), getReplicas(a), getFlows(a), getInterfaces(a), getCounters(a))
}

// getter makes a command that asks the daemon for T and prints it.
func getter[T any](a *cli.App, use, short, example string, ask func(context.Context, *client.Client) (T, error), table func(io.Writer, T)) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cli.Takes()}
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := client.New(a.Socket)
		defer d.Close()
		v, err := ask(c.Context(), d)
		if err != nil {
			return err
		}
		return a.Print(*f, v, func(w io.Writer) { table(w, v) })
	}
	return c
}

func getServices(a *cli.App) *cobra.Command {
	return getter(a, "services", "Print the services", "  lbctl get services -o json",
		func(ctx context.Context, d *client.Client) (api.Services, error) { return d.Services(ctx) },
		func(w io.Writer, v api.Services) {
			cli.Row(w, "NAME", "VIP", "PROTOCOL", "MODE", "SCHEDULER", "HASH", "TRACKING", "SLOTS", "REPLICAS")
			for _, s := range v.Services {
				cli.Row(w, s.Name, s.VIP, s.Protocol, s.Mode, s.Scheduler, s.Hash, s.Tracking, slotsOf(s), len(s.Replicas))
			}
		})
}

// slotsOf is the number of slots of a service's table: of modulo, that of its active replicas.
func slotsOf(s api.Service) (n int64) {
	if s.TableSize != nil {
		return *s.TableSize
	}
	for _, r := range s.Replicas {
		if r.State == lb.Active.String() {
			n++
		}
	}
	return n
}

func getInterfaces(a *cli.App) *cobra.Command {
	return getter(a, "interfaces", "Print the attached interfaces", "  lbctl get interfaces",
		func(ctx context.Context, d *client.Client) (api.Interfaces, error) { return d.Interfaces(ctx) },
		func(w io.Writer, v api.Interfaces) {
			cli.Row(w, "NAME", "INDEX", "MODE", "REQUESTED")
			for _, i := range v.Interfaces {
				cli.Row(w, i.Name, i.IfIndex, i.Mode, i.RequestedMode)
			}
		})
}

func getCounters(a *cli.App) *cobra.Command {
	return getter(a, "counters", "Print packets and bytes by the reason of their verdict",
		"  lbctl get counters\n  lbctl get counters -o json",
		func(ctx context.Context, d *client.Client) (api.Counters, error) { return d.Counters(ctx) },
		func(w io.Writer, v api.Counters) {
			cli.Row(w, "REASON", "PACKETS", "BYTES")
			for _, r := range v.Reasons {
				if r.Packets > 0 {
					cli.Row(w, r.Reason, r.Packets, r.Bytes)
				}
			}
			cli.Row(w, "all", v.Packets, v.Bytes)
		})
}

// replicaLine is a replica with what was sent to it.
type replicaLine struct {
	Service  string `json:"service_name"`
	VIP      string `json:"vip"`
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	State    string `json:"state"`
	Weight   int64  `json:"weight"`
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"bytes"`
}

type replicaLines struct {
	Replicas []replicaLine `json:"replicas"`
}

func getReplicas(a *cli.App) *cobra.Command {
	return getter(a, "replicas", "Print the replicas and what was sent to them", "  lbctl get replicas", askReplicas,
		func(w io.Writer, v replicaLines) {
			cli.Row(w, "SERVICE", "REPLICA", "STATE", "WEIGHT", "PACKETS", "BYTES")
			for _, r := range v.Replicas {
				cli.Row(w, r.Service, r.Address, r.State, r.Weight, r.Packets, r.Bytes)
			}
		})
}

func askReplicas(ctx context.Context, d *client.Client) (replicaLines, error) {
	services, err := d.Services(ctx)
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
	for _, s := range services.Services {
		for _, r := range s.Replicas {
			n := counts[key{s.Protocol, s.VIP, r.Address}]
			lines.Replicas = append(lines.Replicas, replicaLine{s.Name, s.VIP, s.Protocol, r.Address, r.State, *r.Weight, n.Packets, n.Bytes})
		}
	}
	return lines, nil
}
