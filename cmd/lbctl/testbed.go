package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// testbedCommand holds the processes that experiments start in their namespaces.
func testbedCommand(a *app) *cobra.Command {
	c := noun(&cobra.Command{
		Use:   "testbed",
		Short: "Processes that experiments start",
	}, testbedProcess(a, "replica", replica.Main), testbedProcess(a, "client", traffic.Main), testbedGuest())
	c.Hidden = true
	return c
}

func testbedProcess(a *app, name string, main func(context.Context, string, io.Reader, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use:  name + " JSON",
		Args: takes("JSON"),
		RunE: func(c *cobra.Command, args []string) error { return main(c.Context(), args[0], a.stdin, a.stdout) },
	}
}
