// Package helper runs the child processes of the testbed inside network namespaces. A Process is any
// program: a load balancer, a proxy, a helper. A Helper is a process that the lbctl binary itself can be
// (`lbctl testbed NAME CONFIG`): a replica, a client, a guest's only program. Each process is ended by its own
// number and by nothing wider. lab.Helpers lists all helpers.
package helper

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// Command is the hidden command of the lbctl binary that runs a helper by name.
const Command = "testbed"

// Helper is a kind of child process that is configured by a C.
type Helper[C any] struct {
	Name string
	// Run does the work until ctx ends or, where it reads orders, standard input. Standard output is read by the parent.
	Run func(ctx context.Context, config C, stdin io.Reader, stdout io.Writer) error
}

// Start starts the helper in a namespace. Program is the path of the lbctl binary; label stands in errors.
func (h Helper[C]) Start(program string, in *netns.Namespace, label string, config C) (*Process, error) {
	return h.start(Start, program, in, label, config)
}

// StartFamily is Start for a helper that forks: see the function StartFamily.
func (h Helper[C]) StartFamily(program string, in *netns.Namespace, label string, config C) (*Process, error) {
	return h.start(StartFamily, program, in, label, config)
}

func (h Helper[C]) start(by func(*netns.Namespace, string, ...string) (*Process, error), program string, in *netns.Namespace, label string, config C) (*Process, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encode configuration of %s: %w", label, err)
	}
	return by(in, label, program, Command, h.Name, string(text))
}

// Entry is a helper of the registry.
type Entry struct {
	Name string
	// Main runs the helper in this process, configured by JSON. SIGTERM and SIGINT end its context.
	Main func(ctx context.Context, config string, stdin io.Reader, stdout io.Writer) error
}

// Entry returns the helper's entry of the registry.
func (h Helper[C]) Entry() Entry {
	return Entry{Name: h.Name, Main: func(ctx context.Context, config string, stdin io.Reader, stdout io.Writer) error {
		var c C
		if err := json.Unmarshal([]byte(config), &c); err != nil {
			return fmt.Errorf("read configuration of %s: %w", h.Name, err)
		}
		ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
		defer stop()
		return h.Run(ctx, c, stdin, stdout)
	}}
}
