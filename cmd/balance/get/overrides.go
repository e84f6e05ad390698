package get

import (
	"context"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/api"
	"lbctl/control/client"
)

// overrideLines are the overrides, and the names of all services, also of those without one.
type overrideLines struct {
	api.Overrides
	services []string
}

func getOverrides(a *cli.App) *cobra.Command {
	return listing[overrideLines]{
		command: cobra.Command{Use: "overrides [NAME]", Aliases: []string{"override"}, Short: "Print what was set by hand on replicas; NAME is a service",
			Long: `Print what was set by hand on replicas, over what the configuration declares: state and weight, by whom, when and why.
lbctl take-back, undrain, up and weight --reset take it back.`,
			Example: "  lbctl get overrides\n  lbctl get overrides web -o json"},
		kind: "service", list: "get services",
		ask: func(ctx context.Context, d *client.Client, _ string) (lines overrideLines, err error) {
			if lines.services, err = cli.Services(ctx, d, nil); err == nil {
				lines.Overrides, err = d.Overrides(ctx)
			}
			return lines, err
		},
		keep: func(v *overrideLines, name string) []string {
			keepNamed(&v.Overrides.Overrides, name, func(o api.ReplicaOverride) string { return o.ServiceName })
			return v.services
		},
		tables: func(v overrideLines, _ string) []show.Table {
			t := show.Table{Columns: []string{"SERVICE", "REPLICA", "BY HAND", "FILE", "BY", "SINCE", "NOTE"}}
			for _, o := range v.Overrides.Overrides {
				t.Add("override/"+o.ServiceName+"/"+o.Replica, o.ServiceName, o.Replica, cli.ByHandText(o.Override), cli.DeclaredText(o), o.Actor, o.Since, o.Note)
			}
			return []show.Table{t}
		},
	}.make(a)
}
