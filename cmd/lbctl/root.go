package main

import (
	"github.com/spf13/cobra"

	"lbctl/control/client"
)

// app is one run of the program: what its commands share.
type app struct {
	environment
	// socket is the daemon's, by flag, environment variable or default.
	socket string
	// started is true when a command was found and its arguments are right.
	started bool
}

// run executes the command that the arguments name and returns the exit code. Data
// goes to stdout, everything else to stderr.
func run(env environment) int {
	a := &app{environment: env}
	err := a.root().ExecuteContext(env.ctx)
	if err == nil {
		return exitDone
	}
	return a.report(err)
}

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	c := noun(&cobra.Command{
		Use:   "lbctl",
		Short: "Balance TCP and UDP flows in XDP, and simulate the NIC before it",
		Long: `lbctl balances the flows of a virtual IP address over replicas, in XDP, and
simulates a multi-queue NIC with receive-side scaling.

Exit codes: 0 done, 1 failed, 2 wrong usage or invalid input, 3 not found, 4 conflict,
5 denied, 6 daemon unreachable, 130 interrupted.`,
		Example: `  lbctl serve -f lb.yaml          # in one terminal
  lbctl attach eth0               # in another
  lbctl get counters`,
	},
		serveCommand(a), applyCommand(a), planCommand(a),
		attachCommand(a), detachCommand(a), getCommand(a), explainCommand(a, realInterfaces(), machine{"/"}), monitorCommand(a), decapCommand(a), doctorCommand(a),
		replicaCommand(a), drainCommand(a),
		purgeCommand(a), rssCommand(a), demoCommand(a), labCommand(a), benchCommand(a), versionCommand(a), testbedCommand(a),
	)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetIn(a.stdin)
	c.SetOut(a.stdout)
	c.SetErr(a.stderr)
	c.SetArgs(a.args)
	c.SetFlagErrorFunc(flagError)
	c.InitDefaultCompletionCmd(a.args...)
	if completion, _, err := c.Find([]string{"completion"}); err == nil && completion != c {
		noun(completion)
	}
	c.PersistentPreRun = func(*cobra.Command, []string) { a.started = true }
	socket := a.getenv("LBCTL_SOCKET")
	if socket == "" {
		socket = client.DefaultSocket
	}
	c.PersistentFlags().StringVar(&a.socket, "socket", socket, "the daemon's unix socket (environment: LBCTL_SOCKET)")
	return c
}
