package get

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/api"
	"lbctl/control/client"
)

func getCounters(a *cli.App) *cobra.Command {
	var flags *show.Flags
	c := listing[api.Counters]{
		command: cobra.Command{
			Use: "counters [NAME]", Aliases: []string{"counter"}, Short: "Print packets and bytes by the reason of their verdict",
			Long: `Print packets and bytes by the reason of their verdict; NAME is a reason. The table leaves out reasons that no packet had.
Packets that the kernel or a driver lost after the verdict follow, by interface and cause, since the daemon started.

With --since it counts for that time, and prints what grew, and how much a second; with -o wide by service and replica, too.
With --watch it goes on so.`,
			Example: "  lbctl get counters\n  lbctl get counters no_replica\n  lbctl get counters --since 10s\n  lbctl get counters --since 1s --watch -o wide",
		},
		kind: "reason", list: "get counters -o json",
		ask: func(ctx context.Context, d *client.Client, one string) (api.Counters, error) {
			if one != "" || flags.Tabular() {
				return d.Counters(ctx, "reason")
			}
			return d.Counters(ctx)
		},
		keep:   keepReason,
		tables: counterTables,
		flags:  func(f *show.Flags) { flags = f },
		notes: func(v api.Counters) []string {
			if v.LossesUnknown == "" {
				return nil
			}
			return []string{"losses after the verdict are not counted: " + v.LossesUnknown}
		},
	}.make(a)
	since := c.Flags().Duration("since", 0, "count for so long, from 10ms to 24h, and print what is different")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case !c.Flags().Changed("since"):
			return run(c, args)
		case *since < 10*time.Millisecond || *since > 24*time.Hour:
			return cli.Usage(c, "--since: %v is out of range: want 10ms to 24h", *since)
		case len(args) == 1:
			return cli.Usage(c, "--since and %s: all that grew is printed, want no name", args[0])
		}
		d := a.Client()
		defer d.Close()
		return flags.Run(a, c, func(ctx context.Context) (show.Answer, error) {
			g, err := grow(ctx, d, a.Clock, *since)
			return show.Answer{Value: g, Tables: g.tables(flags.Wide())}, err
		})
	}
	return c
}

// counterTables are the reasons that packets had, or the one that was asked for, and what was lost.
func counterTables(v api.Counters, one string) []show.Table {
	reasons := show.Table{Columns: []string{"REASON", "PACKETS", "BYTES", "DROPPED"}, Narrow: 3}
	for _, r := range v.Reasons {
		if r.Packets > 0 || one != "" {
			reasons.Add("counter/"+r.Reason, r.Reason, r.Packets, r.Bytes, cli.YesNo(r.Dropped))
		}
	}
	reasons.Add("counter/all", "all", v.Packets, v.Bytes, "")
	lost := show.Table{Columns: []string{"LOST ON", "CAUSE", "PACKETS", "ERROR"}}
	for _, l := range v.Losses {
		lost.Add("loss/"+l.Interface+"/"+l.Cause, l.Interface, l.Cause, l.Packets, l.Error)
	}
	return []show.Table{reasons, lost}
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
