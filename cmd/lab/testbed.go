package lab

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// testbedCommand holds the processes that experiments start in their namespaces.
func testbedCommand(a *cli.App) *cobra.Command {
	c := cli.Noun(&cobra.Command{
		Use:   "testbed",
		Short: "Processes that experiments start",
	}, testbedProcess(a, "replica", replica.Main), testbedProcess(a, "client", traffic.Main), testbedGuest())
	c.Hidden = true
	return c
}

func testbedProcess(a *cli.App, name string, main func(context.Context, string, io.Reader, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use:  name + " JSON",
		Args: cli.Takes("JSON"),
		RunE: func(c *cobra.Command, args []string) error { return main(c.Context(), args[0], a.Stdin, a.Stdout) },
	}
}

// Commands are those that measure.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{demoCommand(a), labCommand(a), benchCommand(a), testbedCommand(a)}
}
