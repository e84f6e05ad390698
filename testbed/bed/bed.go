// Package bed is what every experiment and benchmark stands on: network namespaces, links between
// them, the real load balancer (`lbctl serve`) in one of them, and a folder for the files of the run.
// Close removes all of it, the newest part first. What a crashed run left is removed by the next New.
package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"lbctl/bpf/load"
	"lbctl/control/api"
	"lbctl/testbed/netns"
	"lbctl/testbed/trace"
	"lbctl/testbed/xdp"
)

// Bed is the bed of one run. Not safe for concurrent use.
type Bed struct {
	program string
	log     *slog.Logger
	run     *netns.Run
	folder  folder
	wires   wires
	// undo is what Close does, in reverse.
	undo []func() error
}

// New removes what crashed runs left and makes a bed without namespaces. Program is the path of the lbctl
// binary. It needs root.
func New(program string, log *slog.Logger) (*Bed, error) {
	if err := load.Kernel(); err != nil {
		return nil, err
	}
	all := folders{kind: kind, program: program}
	if err := all.sweep(log); err != nil {
		return nil, fmt.Errorf("make bed: %w", err)
	}
	run, err := netns.NewRun()
	if err != nil {
		return nil, fmt.Errorf("make bed: %w", err)
	}
	b := &Bed{program: program, log: log, run: run, wires: wires{patches: map[int]*xdp.Patch{}}}
	b.Closing(run)
	if b.folder, err = all.make(run.ID()); err != nil {
		return nil, errors.Join(fmt.Errorf("make bed: %w", err), b.Close())
	}
	b.OnClose(b.folder.remove)
	return b, nil
}

// Program is the path of the lbctl binary.
func (b *Bed) Program() string { return b.program }

// Log gets details for debugging.
func (b *Bed) Log() *slog.Logger { return b.log }

// Path returns the path of a file in the run's folder, of the folder itself if the name is empty.
func (b *Bed) Path(name string) string { return b.folder.at(name).path }

// Namespace makes a namespace (netns.Run.Make): IPv6 is off, and it does not forward.
func (b *Bed) Namespace(name string) (*netns.Namespace, error) { return b.run.Make(name) }

// Router makes a namespace that forwards IPv4 and IPv6.
func (b *Bed) Router(name string) (*netns.Namespace, error) {
	n, err := b.run.Make(name)
	if err != nil {
		return nil, err
	}
	return n, errors.Join(n.AllowIPv6(), n.Sysctl("net/ipv4/ip_forward", "1"), n.Sysctl("net/ipv6/conf/all/forwarding", "1"))
}

// Trace makes a tracer (trace.New) that is removed with the bed.
func (b *Bed) Trace(name string) (*trace.Instance, error) {
	i, err := trace.New(b.run.ID(), name)
	if err != nil {
		return nil, err
	}
	b.Closing(i)
	return i, nil
}

// Serve starts a load balancer in a namespace with a configuration, and waits until it answers. The name is
// unique on the bed; letters, digits and dashes.
func (b *Bed) Serve(ctx context.Context, in *netns.Namespace, name string, config api.Config) (*Product, error) {
	i, err := b.folder.instance(name)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, i, in, config)
	if err != nil {
		return nil, err
	}
	b.Closing(p)
	return p, nil
}

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
