// Package nic has the commands lbctl rss: which receive queue of a NIC a flow lands on, and why.
package nic

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
)

// Commands are those of the NIC: lbctl rss.
func Commands(a *cli.App) []*cobra.Command {
	nics := a.NICs
	return []*cobra.Command{cli.Noun(&cobra.Command{
		Use:     "rss",
		Short:   "Say which receive queue of a NIC a flow lands on",
		Example: `  lbctl rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766`,
	},
		hashCommand(a), profilesCommand(a), showCommand(a, nics), setCommand(a, nics), verifyCommand(a, nics), replayCommand(a),
		planCommand(a), simulateCommand(a), keyCommand(a), portsCommand(a), identifyCommand(a, nics))}
}
