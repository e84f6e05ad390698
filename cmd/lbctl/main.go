// Command lbctl is an L4 load balancer in XDP and a simulator of a multi-queue NIC
// with receive-side scaling. See README.md.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"lbctl/cmd/balance"
	"lbctl/cmd/balance/document"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/manual"
	"lbctl/cmd/lab"
	"lbctl/cmd/nic"
)

func main() {
	os.Exit(cli.Run(cli.System(balance.XDP{}), commands))
}

// commands are all that lbctl has.
func commands(a *cli.App) []*cobra.Command {
	all := append(balance.Commands(a), nic.Commands(a)...)
	all = append(all, lab.Commands(a)...)
	return append(all, manual.Command(a, document.Example()))
}
