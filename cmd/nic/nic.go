// Package nic has the commands lbctl rss: which receive queue of a NIC a flow goes to, and why. Each large verb is a
// package; what they share is in cmd/cli.
package nic

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/hash"
	"lbctl/cmd/nic/identify"
	"lbctl/cmd/nic/key"
	"lbctl/cmd/nic/plan"
	"lbctl/cmd/nic/replay"
	"lbctl/cmd/nic/set"
	"lbctl/cmd/nic/show"
	"lbctl/cmd/nic/simulate"
	"lbctl/cmd/nic/verify"
)

// Commands returns lbctl rss.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{cli.Noun(&cobra.Command{
		Use:     "rss",
		Short:   "Say which receive queue of a NIC a flow goes to, and why",
		Example: `  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766`,
	},
		hash.Command(a), show.ProfilesCommand(a), show.Command(a), set.Command(a), verify.Command(a), replay.Command(a),
		plan.Command(a), simulate.Command(a), key.Command(a), hash.PortsCommand(a), identify.Command(a))}
}
