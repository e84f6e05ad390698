package lab

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/experiments/peers"
)

func benchPeersCommand(a *cli.App) *cobra.Command {
	return benchmarkCommand(a, benchmark{trial: peers.Experiment().Trial()}, &cobra.Command{
		Use:   "peers",
		Short: "Do the same work through lbctl, nftables, HAProxy and nginx",
		Long: `Send the same requests through the load balancer and through others, and to the replicas' own
addresses, in turns, in network namespaces of its own; print requests a second, latency, and CPU time a
request: that of the process that balances, and that of everything, softirqs included, above that
of direct. Between the namespaces are wires: frames arrive as from a NIC, whatever sent them, and
every path has as much wire. The exit code is 1 when lbctl is not near enough to direct, or not
ahead of all others. It needs root and some two minutes. What is missing is installed from
Debian's packages; no daemon of theirs is started.`,
		Example: `  lbctl bench peers
  lbctl bench peers --peers direct,lbctl,haproxy --works connections --rounds 20
  lbctl bench peers --requests 10000 --concurrency 64 --out /tmp/peers -o json`,
	})
}
