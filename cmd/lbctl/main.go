// Command lbctl is an L4 load balancer in XDP and a simulator of a multi-queue NIC
// with receive-side scaling. See README.md.
package main

import (
	"os"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
)

func main() {
	os.Exit(cli.Run(cli.System(balance.XDP{}), commands))
}
