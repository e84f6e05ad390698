// Package wires is what benchmarks stand on: network namespaces, links between them, and the
// real load balancer, `lbctl serve`, in one of them. Close removes all of it; what a crashed
// benchmark left is removed by the next New.
package wires

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"lbctl/control/api"
	"lbctl/testbed/bench/xdp"
	"lbctl/testbed/netns"
	"lbctl/testbed/product"
	"lbctl/testbed/rundir"
)

// Bed is one benchmark's. Not safe for concurrent use.
type Bed struct {
	program string
	log     *slog.Logger
	run     *rundir.Run
	wires   wires
	// undo is what Close does, in reverse.
	undo []func() error
}

// New sweeps what crashed runs left and makes a bed without namespaces. Program is the path of the lbctl
// binary. It needs root.
func New(program string, log *slog.Logger) (*Bed, error) {
	run, err := rundir.Runs{Kind: "bench", Program: program}.Begin(log)
	if err != nil {
		return nil, fmt.Errorf("prepare benchmark: %w", err)
	}
	b := &Bed{program: program, log: log, run: run, wires: wires{exchanges: map[int]*xdp.Exchange{}}}
	b.Closing(run)
	return b, nil
}

// Serve starts the load balancer in a namespace, with no service yet. The name is unique on the bed;
// letters, digits and dashes.
func (b *Bed) Serve(ctx context.Context, in *netns.Namespace, name string) (*product.Product, error) {
	home, err := b.run.Home(name)
	if err != nil {
		return nil, err
	}
	p, err := product.Start(ctx, home, in, api.Config{Services: []api.Service{}})
	if err != nil {
		return nil, err
	}
	b.Closing(p)
	return p, nil
}

// Program is the path of the lbctl binary.
func (b *Bed) Program() string { return b.program }

// Log is where a person who looks for a fault looks.
func (b *Bed) Log() *slog.Logger { return b.log }

// Namespace makes a namespace that forwards IPv4 and IPv6.
func (b *Bed) Namespace(name string) (*netns.Namespace, error) {
	n, err := b.run.Make(name)
	if err != nil {
		return nil, err
	}
	return n, errors.Join(n.AllowIPv6(), n.Sysctl("net/ipv4/ip_forward", "1"), n.Sysctl("net/ipv6/conf/all/forwarding", "1"))
}

// Path returns the path of a file in the bed's folder.
func (b *Bed) Path(name string) string { return b.run.Path(name) }

// OnClose adds what Close has to do.
func (b *Bed) OnClose(undo func() error) { b.undo = append(b.undo, undo) }

// Closing is OnClose for a closer.
func (b *Bed) Closing(c io.Closer) { b.OnClose(c.Close) }

// Close removes everything, the newest first. A second call does nothing.
func (b *Bed) Close() error {
	var all []error
	for _, undo := range slices.Backward(b.undo) {
		all = append(all, undo())
	}
	b.undo = nil
	return errors.Join(all...)
}
