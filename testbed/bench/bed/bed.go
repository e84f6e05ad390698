// Package bed is what benchmarks stand on: network namespaces, links between them, and the
// real load balancer, `lbctl serve`, in one of them. Close removes all of it; what a crashed
// benchmark left is removed by the next New.
package bed

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"

	"lbctl/testbed/bench/xdp"
	"lbctl/testbed/netns"
)

// Bed is one benchmark's. Not safe for concurrent use.
type Bed struct {
	program string
	log     *slog.Logger
	run     *netns.Run
	folder  string
	wires   wires
	// undo is what Close does, in reverse.
	undo []func() error
}

// New sweeps what crashed runs left and makes a bed without namespaces. Program is the path of the lbctl
// binary. It needs root.
func New(program string, log *slog.Logger) (*Bed, error) {
	b := &Bed{program: program, log: log, wires: wires{exchanges: map[int]*xdp.Exchange{}}}
	for _, step := range []func() error{b.sweep, b.makeRun, b.makeFolder} {
		if err := step(); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare benchmark: %w", err), b.Close())
		}
	}
	return b, nil
}

func (b *Bed) makeRun() (err error) {
	if b.run, err = netns.NewRun(); err != nil {
		return err
	}
	b.Closing(b.run)
	return nil
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
func (b *Bed) Path(name string) string { return filepath.Join(b.folder, name) }

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
