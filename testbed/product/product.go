// Package product runs the real load balancer as its users do: `lbctl serve` in a network namespace,
// configured over its API.
package product

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/testbed/netns"
	"lbctl/testbed/process"
	"lbctl/testbed/rundir"
)

// readyWithin is how long the daemon may take to answer.
const readyWithin = 20 * time.Second

// Product is a load balancer. What it pinned stays until it is purged or its run's folder is closed.
// Not safe for concurrent use, but for Control.
type Product struct {
	// Control is its API.
	Control *client.Client
	home    rundir.Home
	in      *netns.Namespace
	// daemon is nil after Crash and Halt.
	daemon *process.Process
}

// Start starts a load balancer with what a configuration says, and waits until it answers.
func Start(ctx context.Context, home rundir.Home, in *netns.Namespace, config api.Config) (*Product, error) {
	text, err := json.Marshal(config) // JSON is YAML too
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	if err := os.WriteFile(home.Config(), text, 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	p := &Product{Control: client.New(home.Socket()), home: home, in: in}
	if err := p.serve(ctx, "-f", home.Config()); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// serve starts the daemon and waits until it answers. It lives on when ctx ends: Close ends it, after those that use it.
func (p *Product) serve(ctx context.Context, args ...string) error {
	command := []string{p.home.Program(), "serve", "--socket", p.home.Socket(), "--state-dir", p.home.State(), "--pin-dir", p.home.Pins()}
	daemon, err := process.Start(p.in, "lbctl serve", append(command, args...)...)
	if err != nil {
		return err
	}
	err = process.Until(ctx, readyWithin, "the daemon", func() error {
		_, err := p.Control.Ready(ctx)
		return err
	}, daemon.Over)
	if err != nil {
		return errors.Join(err, daemon.End())
	}
	p.daemon = daemon
	return nil
}

// Crash kills the daemon: it has no chance to tidy up. One that has ended by itself is an error.
func (p *Product) Crash() error {
	if err := p.daemon.Over(); err != nil {
		return fmt.Errorf("kill the daemon: %w", err)
	}
	daemon := p.daemon
	p.daemon = nil
	return daemon.End()
}

// Halt ends the daemon as its users do, by SIGTERM. A connection that was made and not used yet would
// keep it for some seconds (net/http, Server.Shutdown): there is none.
func (p *Product) Halt() error {
	p.Control.Close()
	daemon := p.daemon
	p.daemon = nil
	return daemon.Stop()
}

// Restart starts the daemon after a Crash or a Halt, with nothing but what it finds.
func (p *Product) Restart(ctx context.Context) error { return p.serve(ctx) }

// Close ends the daemon, if it runs.
func (p *Product) Close() error {
	if p.daemon != nil {
		return p.Halt()
	}
	p.Control.Close()
	return nil
}

// Purge removes everything that was pinned, which ends forwarding. The daemon must not run.
func (p *Product) Purge() error { return p.home.Purge() }

// Pins is the pin directory.
func (p *Product) Pins() string { return p.home.Pins() }

// PID is the daemon's process number, Memory what it has of memory. It must run.
func (p *Product) PID() int                        { return p.daemon.PID() }
func (p *Product) Memory() (process.Memory, error) { return p.daemon.Memory() }

// Apply gives the load balancer its services and attaches it to interfaces in a mode.
func (p *Product) Apply(ctx context.Context, mode string, interfaces []string, services ...api.Service) error {
	config := api.Config{Services: services}
	for _, name := range interfaces {
		config.Interfaces = append(config.Interfaces, api.Interface{Name: name, Mode: mode})
	}
	if _, err := p.Control.Apply(ctx, config, client.AnyRevision); err != nil {
		return fmt.Errorf("configure the load balancer: %w", err)
	}
	return nil
}
