package lab

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/vm/guest"
)

// testbedGuest is what a virtual machine of the testbed runs as its only process.
func testbedGuest() *cobra.Command {
	return &cobra.Command{
		Use:  "guest",
		Args: cli.Takes(),
		RunE: func(c *cobra.Command, _ []string) error { return guest.Main(c.Context()) },
	}
}
