package main

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/lab"
	"lbctl/cmd/nic"
)

// commands are all that lbctl has.
func commands(a *cli.App) []*cobra.Command {
	all := append(balance.Commands(a), nic.Commands(a)...)
	all = append(all, lab.Commands(a)...)
	return append(all, cli.VersionCommand(a))
}
