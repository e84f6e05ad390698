// Package get has the commands that print what there is: services, replicas, flows, interfaces, counters, the configuration
// and its revisions.
package get

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
	"lbctl/lb"
)

// Command prints what there is. others are kinds that other verbs know.
func Command(a *cli.App, others ...*cobra.Command) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "get",
		Short: "Print services, replicas, flows, interfaces, counters, the configuration or its revisions",
		Example: `  lbctl get services
  lbctl get flows web
  lbctl get counters -o json
  lbctl get config >lb.yaml`,
	}, append(others, getServices(a), getReplicas(a), getFlows(a), getInterfaces(a), getCounters(a), getConfig(a))...)
}

// listing is a command that prints T, the things of one kind, all or those of a name.
type listing[T any] struct {
	command cobra.Command
	// kind is what NAME names, and list the command that prints those names.
	kind, list string
	ask        func(context.Context, *client.Client) (T, error)
	// keep leaves in T what has the name, and returns all names there are.
	keep  func(all *T, name string) (names []string)
	table func(io.Writer, T)
}

func (l listing[T]) make(a *cli.App) *cobra.Command {
	c := &l.command
	c.Args = cli.Takes("[NAME]")
	a.Complete(c, func(ctx context.Context, d *client.Client, _ []string) ([]string, error) {
		v, err := l.ask(ctx, d)
		return l.keep(&v, ""), err
	})
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := client.New(a.Socket)
		defer d.Close()
		v, err := l.ask(c.Context(), d)
		if err != nil {
			return err
		}
		if len(args) == 1 {
			if names := l.keep(&v, args[0]); !slices.Contains(names, args[0]) {
				return cli.NotFound(l.kind, args[0], names, "list what there is: lbctl "+l.list)
			}
		}
		return a.Print(*f, v, func(w io.Writer) { l.table(w, v) })
	}
	return c
}

// keepNamed leaves in a list the elements of one name, and returns the names of all.
func keepNamed[E any](all *[]E, name string, nameOf func(E) string) (names []string) {
	kept := []E{}
	for _, e := range *all {
		names = append(names, nameOf(e))
		if nameOf(e) == name {
			kept = append(kept, e)
		}
	}
	*all = kept
	return names
}

func getServices(a *cli.App) *cobra.Command {
	return listing[api.Services]{
		command: cobra.Command{Use: "services [NAME]", Short: "Print the services, or one", Example: "  lbctl get services -o json\n  lbctl get services web"},
		kind:    "service", list: "get services",
		ask: func(ctx context.Context, d *client.Client) (api.Services, error) { return d.Services(ctx) },
		keep: func(v *api.Services, name string) []string {
			return keepNamed(&v.Services, name, func(s api.Service) string { return s.Name })
		},
		table: func(w io.Writer, v api.Services) {
			cli.Row(w, "NAME", "VIP", "PROTOCOL", "MODE", "SCHEDULER", "HASH", "TRACKING", "SLOTS", "REPLICAS")
			for _, s := range v.Services {
				cli.Row(w, s.Name, s.VIP, s.Protocol, s.Mode, s.Scheduler, s.Hash, s.Tracking, slotsOf(s), len(s.Replicas))
			}
		},
	}.make(a)
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
	return listing[api.Interfaces]{
		command: cobra.Command{Use: "interfaces [NAME]", Short: "Print the interfaces that are attached, or wanted and missing, or one", Example: "  lbctl get interfaces"},
		kind:    "interface", list: "get interfaces",
		ask: func(ctx context.Context, d *client.Client) (api.Interfaces, error) { return d.Interfaces(ctx) },
		keep: func(v *api.Interfaces, name string) []string {
			return keepNamed(&v.Interfaces, name, func(i api.InterfaceStatus) string { return i.Name })
		},
		table: func(w io.Writer, v api.Interfaces) {
			cli.Row(w, "NAME", "STATE", "INDEX", "MODE", "REQUESTED", "REASON")
			for _, i := range v.Interfaces {
				cli.Row(w, i.Name, i.State, i.IfIndex, i.Mode, i.RequestedMode, i.Reason)
			}
		},
	}.make(a)
}

func getCounters(a *cli.App) *cobra.Command {
	return listing[api.Counters]{
		command: cobra.Command{
			Use: "counters [NAME]", Short: "Print packets and bytes by the reason of their verdict",
			Long: `Print packets and bytes by the reason of their verdict; NAME is a reason. The table leaves out reasons that no packet had.
Packets that the kernel or a driver lost after the verdict follow, by interface and cause, since the daemon started.`,
			Example: "  lbctl get counters\n  lbctl get counters no_replica\n  lbctl get counters -o json",
		},
		kind: "reason", list: "get counters -o json",
		ask:  func(ctx context.Context, d *client.Client) (api.Counters, error) { return d.Counters(ctx) },
		keep: keepReason,
		table: func(w io.Writer, v api.Counters) {
			cli.Row(w, "REASON", "PACKETS", "BYTES")
			for _, r := range v.Reasons {
				if r.Packets > 0 || len(v.Reasons) == 1 {
					cli.Row(w, r.Reason, r.Packets, r.Bytes)
				}
			}
			cli.Row(w, "all", v.Packets, v.Bytes)
			losses(w, v)
		},
	}.make(a)
}

func losses(w io.Writer, v api.Counters) {
	if len(v.Losses) > 0 {
		cli.Row(w, "\nLOST ON", "CAUSE", "PACKETS", "ERROR")
	}
	for _, l := range v.Losses {
		cli.Row(w, l.Interface, l.Cause, l.Packets, l.Error)
	}
	if v.LossesUnknown != "" {
		cli.Row(w, "\nlosses after the verdict are not counted: "+v.LossesUnknown)
	}
}

// keepReason leaves what was counted by one reason. The sums of services and replicas are of another one.
func keepReason(v *api.Counters, name string) []string {
	names := keepNamed(&v.Reasons, name, func(r api.ReasonCount) string { return r.Reason })
	v.Packets, v.Bytes, v.Services, v.Replicas, v.Losses = 0, 0, []api.ServiceCount{}, []api.ReplicaCount{}, []api.LossCount{}
	for _, r := range v.Reasons {
		v.Packets, v.Bytes = v.Packets+r.Packets, v.Bytes+r.Bytes
	}
	return names
}

func getConfig(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that is in effect",
		Long: `Print the configuration that is in effect, with every default written out, as YAML or JSON. It is what
lbctl apply -f and lbctl serve -f take.`,
		Example: "  lbctl get config >lb.yaml\n  lbctl get config | lbctl apply -f -\n  lbctl get config -o json",
		Args:    cli.Takes(),
	}
	f := cli.OutputFlagOf(c, cli.FormatYAML, cli.FormatJSON)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := client.New(a.Socket)
		defer d.Close()
		v, _, err := d.Config(c.Context())
		if err != nil {
			return err
		}
		text, err := config.Write(v)
		if err != nil {
			return err
		}
		return a.Print(*f, v, func(w io.Writer) { fmt.Fprintf(w, "%s", text) })
	}
	return c
}
