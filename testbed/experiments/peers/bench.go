package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"lbctl/testbed/bench/load"
	"lbctl/testbed/bench/wires"
	"lbctl/testbed/experiment"
	"lbctl/testbed/netns"
	"lbctl/testbed/process"
)

// bench is a trial on its bed: clients, replicas, and a path for each peer.
type bench struct {
	*trial
	env      experiment.Env
	bed      *wires.Bed
	works    []load.Work
	programs map[string]string
	// folder is where a proxy may write, threads how many it may have.
	folder  string
	threads int

	clients  *netns.Namespace
	replicas []*netns.Namespace
	client   *process.Process
	paths    []*path
	measured []measurement
	done     int
}

// quicken makes many short connections possible: all ports, and those of ended ones again soon.
func quicken(n *netns.Namespace) error {
	return errors.Join(
		n.Sysctl("net/ipv4/ip_local_port_range", "1024 65535"),
		n.Sysctl("net/ipv4/tcp_tw_reuse", "1"),
	)
}

// hosts makes clients and replicas, and starts them.
func (b *bench) hosts(context.Context) (err error) {
	if b.clients, err = b.bed.Namespace("clients"); err != nil {
		return err
	}
	works, err := json.Marshal(load.Works())
	if err != nil {
		return fmt.Errorf("encode works: %w", err)
	}
	var servers []*process.Process
	for i := range b.replicaCount {
		n, err := b.bed.Namespace(toReplica(i))
		if err != nil {
			return err
		}
		b.replicas = append(b.replicas, n)
		p, err := process.Start(n, toReplica(i), b.bed.Program(), "bench", "server", string(works))
		if err != nil {
			return err
		}
		b.bed.OnClose(p.Stop)
		servers = append(servers, p)
	}
	if b.client, err = process.Start(b.clients, "clients", b.bed.Program(), "bench", "client", "{}"); err != nil {
		return err
	}
	b.bed.OnClose(b.client.Stop)
	all := []error{quicken(b.clients)}
	for _, p := range append(servers, b.client) {
		all = append(all, p.Await(load.Ready))
	}
	return errors.Join(all...)
}
