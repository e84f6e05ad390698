// Package cli is what all commands of lbctl share: their environment, the ways to take input, to print, to fail and to
// show progress, and the exit codes that scripts rely on.
package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lbctl/control/client"
)

// App is one run of the program: what its commands share.
type App struct {
	Environment
	// Socket is the daemon's, by flag, environment variable or default.
	Socket string
	// target is what else the flags say of the daemon; flags are those.
	target client.Target
	flags  *pflag.FlagSet
	// started is true when a command was found and its arguments are right.
	started bool
}

// Run executes the command that the arguments name and returns the exit code. Data goes to stdout, everything else to
// stderr.
func Run(env Environment, commands func(*App) []*cobra.Command) int {
	a := &App{Environment: env}
	err := a.Root(commands(a)...).ExecuteContext(env.Context)
	if err == nil {
		return ExitDone
	}
	return a.report(err)
}

// Root builds the tree of commands.
func (a *App) Root(commands ...*cobra.Command) *cobra.Command {
	c := Noun(&cobra.Command{
		Use:   "lbctl",
		Short: "Balance TCP and UDP flows in XDP, and simulate the NIC before it",
		Long: `lbctl balances the flows of a virtual IP address over replicas, in XDP, and
simulates a multi-queue NIC with receive-side scaling.

A flag counts before its environment variable, and that before the default: --socket, LBCTL_SOCKET,
/run/lbctl/lbctl.sock. LBCTL_EDITOR and LBCTL_DIFF name the commands of lbctl edit and lbctl diff; NO_COLOR
keeps reports from having colours.

Exit codes: 0 done, 1 failed, 2 wrong usage or invalid input, 3 not found, 4 conflict,
5 denied, 6 daemon unreachable, 130 interrupted.`,
		Example: `  lbctl serve -f lb.yaml          # in one terminal
  lbctl attach eth0               # in another
  lbctl get counters`,
	}, commands...)
	quantities(c)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetIn(a.Stdin)
	c.SetOut(a.Stdout)
	c.SetErr(a.Stderr)
	c.SetArgs(a.Args)
	c.SetFlagErrorFunc(flagError)
	c.InitDefaultCompletionCmd(a.Args...)
	if completion, _, err := c.Find([]string{"completion"}); err == nil && completion != c {
		Noun(completion)
	}
	c.PersistentPreRun = func(*cobra.Command, []string) { a.started = true }
	a.daemonFlags(c.PersistentFlags())
	return c
}

// Build is what this program was built from; scripts rely on its names.
type Build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
}

// ThisBuild reads what the Go tool wrote into the program.
func ThisBuild() Build {
	b := Build{Version: "devel", Commit: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
