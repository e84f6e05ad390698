// Package balance has the commands of the load balancer: the daemon (serve), the verbs that change its intent (apply,
// attach, detach, replica, drain), those that show its state (get, plan, explain, monitor, events), and those that need no
// daemon (purge, decap, doctor). All but serve and the last three talk to the daemon over its socket.
package balance

import (
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/balance/about"
	"lbctl/cmd/balance/describe"
	"lbctl/cmd/balance/document"
	"lbctl/cmd/balance/events"
	"lbctl/cmd/balance/get"
	"lbctl/cmd/balance/ipvs"
	"lbctl/cmd/balance/replica"
	"lbctl/cmd/balance/service"
	"lbctl/cmd/balance/status"
	"lbctl/cmd/balance/token"
	"lbctl/cmd/balance/verify"
	"lbctl/cmd/balance/wait"
	"lbctl/cmd/cli"
)

// Commands returns the commands of the load balancer.
func Commands(a *cli.App) []*cobra.Command {
	pins := func(c *cobra.Command, dir *string) { pinDirFlag(a, c, dir) }
	return slices.Concat(document.Commands(a, printWarnings), replica.Commands(a), service.Commands(a), []*cobra.Command{
		serveCommand(a), attachCommand(a), detachCommand(a), get.Command(a, document.GetRevisions(a)), status.Command(a), verify.Command(a),
		explainCommand(a), monitorCommand(a), events.Command(a), decapCommand(a), doctorCommand(a),
		describe.Command(a), wait.Command(a), ipvs.Command(a), purgeCommand(a), token.Command(a), about.Version(a, pins), about.Bundle(a, pins, about.More{Status: status.Page(a), Doctor: diagnosed(a)}),
	})
}
