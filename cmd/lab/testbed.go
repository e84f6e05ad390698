package lab

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/helper"
	"lbctl/testbed/lab"
)

// testbedCommand runs a helper process of the testbed: experiments start them in their namespaces.
func testbedCommand(a *cli.App) *cobra.Command {
	c := cli.Noun(&cobra.Command{
		Use:    helper.Command,
		Short:  "Processes that experiments start",
		Hidden: true,
	})
	for _, h := range lab.Helpers() {
		c.AddCommand(&cobra.Command{
			Use:  h.Name + " JSON",
			Args: cli.Takes("JSON"),
			RunE: func(c *cobra.Command, args []string) error { return h.Main(c.Context(), args[0], a.Stdin, a.Stdout) },
		})
	}
	return c
}

// Commands are those that measure.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{demoCommand(a), labCommand(a), benchCommand(a), testbedCommand(a)}
}
