// Package balance has the commands of the load balancer: the daemon (serve), the verbs that change what it does, and
// those that show it. All but serve, purge, decap and doctor ask the daemon over its socket.
package balance

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
)

// Commands are those of the load balancer.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		serveCommand(a), applyCommand(a), planCommand(a), attachCommand(a), detachCommand(a), getCommand(a),
		explainCommand(a), monitorCommand(a), decapCommand(a), doctorCommand(a),
		replicaCommand(a), drainCommand(a), purgeCommand(a),
	}
}
