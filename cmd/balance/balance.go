// Package balance has the commands of the load balancer: the daemon (serve), the verbs that change its intent (apply,
// attach, detach, replica, drain), those that show its state (get, plan, explain, monitor), and those that need no
// daemon (purge, decap, doctor). All but serve and the last three talk to the daemon over its socket.
package balance

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/balance/document"
	"lbctl/cmd/balance/status"
	"lbctl/cmd/cli"
)

// Commands returns the commands of the load balancer.
func Commands(a *cli.App) []*cobra.Command {
	return append(document.Commands(a, printWarnings),
		serveCommand(a), attachCommand(a), detachCommand(a), getCommand(a), status.Command(a),
		explainCommand(a), monitorCommand(a), decapCommand(a), doctorCommand(a),
		replicaCommand(a), drainCommand(a), purgeCommand(a),
	)
}
