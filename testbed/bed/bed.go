// Package bed is where experiments play: clients, a simulated NIC, the real load
// balancer, and replicas, each in a network namespace of its own.
//
//	clients --wire[softnic]nic-- balancer --veth-- replica-0 .. replica-N-1
//
// Where the NIC is not the question, a veth pair takes its place: it carries ten times the packets.
//
// The product is started as its users start it: `lbctl serve` in the balancer's namespace,
// configured over REST. Everything on stage is removed by Close, or, after a crash,
// by the next Set.
package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"lbctl/control/client"
	"lbctl/rss/nic"
	"lbctl/testbed/netns"
	"lbctl/testbed/product"
	"lbctl/testbed/rig"
	"lbctl/testbed/rundir"
)

// Config is what is set up.
type Config struct {
	// Program is the lbctl binary.
	Program string
	// Replicas is their number, 1 to MaxReplicas; Clients the number of client
	// addresses, 1 to MaxClients.
	Replicas, Clients int
	// NIC classifies what clients send; nil: clients are behind a veth pair, and there are no arms to play.
	NIC *nic.NIC
	// MTU is that of all links in bytes; 0: netns.DefaultMTU.
	MTU int
	// ToeplitzKey is the load balancer's, in hexadecimal; Flows how many flows it can remember. Without
	// them it has its defaults.
	ToeplitzKey string
	Flows       uint32
	// Log gets what is done.
	Log *slog.Logger
}

// Stage is a set stage. One experiment at a time.
type Stage struct {
	config   Config
	run      *rundir.Run
	clients  *netns.Namespace
	balancer *netns.Namespace
	replicas []*netns.Namespace
	// links are the replicas' own ends, wire and host the two of the link between clients and balancer.
	links      []netns.Link
	wire, host netns.Link
	nic        *rig.SoftNIC
	product    *product.Product
	// undo is what Close does, in reverse.
	undo []func() error
	arms int
}

// Set sweeps what crashed runs left, and sets the stage: network, NIC, daemon. It
// needs root. With an error, and when ctx ends meanwhile, nothing is left.
func Set(ctx context.Context, c Config) (*Stage, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("set stage: %w", err)
	}
	s := &Stage{config: c}
	for _, step := range []func(context.Context) error{
		s.begin, s.makeNamespaces, s.wireClients, s.wireReplicas, s.serve,
	} {
		err := ctx.Err()
		if err == nil {
			err = step(ctx)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("set stage: %w", err), s.Close())
		}
	}
	return s, nil
}

// With sets the stage, lets play play on it, and closes it. Its error wraps that of ctx, if that has ended:
// what fails then is only its consequence.
func With(ctx context.Context, c Config, play func(*Stage) error) error {
	s, err := Set(ctx, c)
	if err != nil {
		return err
	}
	if err = play(s); err != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return errors.Join(err, s.Close())
}

func (c Config) validate() error {
	switch {
	case c.Replicas < 1 || c.Replicas > MaxReplicas:
		return fmt.Errorf("%d replicas: want 1 to %d", c.Replicas, MaxReplicas)
	case c.Clients < 1 || c.Clients > MaxClients:
		return fmt.Errorf("%d client addresses: want 1 to %d", c.Clients, MaxClients)
	}
	return nil
}

// Close removes everything. A second call does nothing.
func (s *Stage) Close() error {
	var all []error
	for _, undo := range slices.Backward(s.undo) {
		all = append(all, undo())
	}
	s.undo = nil
	return errors.Join(all...)
}

// onClose adds what Close has to do.
func (s *Stage) onClose(undo func() error) { s.undo = append(s.undo, undo) }

// closing is onClose for a closer.
func (s *Stage) closing(c io.Closer) { s.onClose(c.Close) }

// NIC returns the simulated NIC, to be rewritten in mid-run, or nil.
func (s *Stage) NIC() *rig.SoftNIC { return s.nic }

// Control returns the client of the daemon's API.
func (s *Stage) Control() *client.Client { return s.product.Control }

// Product returns the load balancer.
func (s *Stage) Product() *product.Product { return s.product }

// Interfaces are the names of the balancer's interfaces that packets come in by.
func (s *Stage) Interfaces() []string {
	names := []string{nicName}
	for i := range s.config.Replicas {
		names = append(names, replicaLink(i))
	}
	return names
}
