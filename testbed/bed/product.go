package bed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

// readyWithin is how long the daemon may take to answer.
const readyWithin = time.Minute

// Product is a load balancer as its users run it: `lbctl serve` in a network namespace, configured over
// its API. What it pinned stays until it is purged or its bed is closed.
// Not safe for concurrent use, but for Control.
type Product struct {
	// Control is its API.
	Control *client.Client
	instance
	in *netns.Namespace
	// Unprivileged has the next daemons keep three capabilities, with which they cannot tell that the program under the links is
	// theirs: each puts its own there.
	Unprivileged bool
	// daemon is nil after Crash and Halt.
	daemon *helper.Process
}

// start starts a load balancer with a configuration, and waits until it answers.
func start(ctx context.Context, i instance, in *netns.Namespace, config api.Config) (*Product, error) {
	text, err := json.Marshal(config) // JSON is YAML too
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	if err := os.WriteFile(i.Config(), text, 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	p := &Product{Control: client.New(i.Socket()), instance: i, in: in}
	if err := p.serve(ctx, "-f", i.Config()); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// serve starts the daemon and waits until it answers. The end of ctx does not end it: Close does, after those that use it.
func (p *Product) serve(ctx context.Context, args ...string) error {
	command := []string{p.program, "serve", "--socket", p.Socket(), "--state-dir", p.State(), "--pin-dir", p.Pins()}
	if p.Unprivileged {
		args = append(args, "--drop-privileges")
	}
	daemon, err := helper.Start(p.in, "lbctl serve", append(command, args...)...)
	if err != nil {
		return err
	}
	err = helper.Until(ctx, readyWithin, "the daemon", func() error {
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

// Halt ends the daemon as its users do, by SIGTERM. It closes the client's connections first: one that was
// made and not used yet would delay the daemon's end for some seconds (net/http, Server.Shutdown).
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

// PID is the daemon's process number, Memory its memory. It must run.
func (p *Product) PID() int                       { return p.daemon.PID() }
func (p *Product) Memory() (helper.Memory, error) { return p.daemon.Memory() }

// Apply gives the load balancer its services and attaches it to interfaces in a mode.
func (p *Product) Apply(ctx context.Context, mode string, interfaces []string, services ...api.Service) error {
	config := api.Config{Services: services}
	for _, name := range interfaces {
		config.Interfaces = append(config.Interfaces, api.Interface{Name: name, Mode: mode})
	}
	if _, err := p.Control.Apply(ctx, config); err != nil {
		return fmt.Errorf("configure the load balancer: %w", err)
	}
	return nil
}

// instance is where one load balancer of a run keeps its files: a folder in the run's, and a pin directory.
type instance struct{ path, program string }

// instance makes the folder of a load balancer. The name is unique in the run; letters, digits and dashes.
func (d folder) instance(name string) (instance, error) {
	i := d.at(name)
	if err := os.Mkdir(i.path, 0o700); err != nil {
		return instance{}, fmt.Errorf("make folder of a load balancer: %w", err)
	}
	return i, nil
}

func (d folder) at(name string) instance {
	return instance{path: filepath.Join(d.path, name), program: d.program}
}

// Socket, State and Config are the paths of the daemon's socket, of the directory of its state, and
// of the file that it starts from.
func (i instance) Socket() string { return filepath.Join(i.path, "sock") }
func (i instance) State() string  { return filepath.Join(i.path, "state") }
func (i instance) Config() string { return filepath.Join(i.path, "lbctl.yaml") }

// Pins is the pin directory, directly below the BPF file system: KIND-ID-NAME.
func (i instance) Pins() string {
	name, _ := strings.CutPrefix(i.path, runDir+"/")
	return filepath.Join("/sys/fs/bpf", strings.ReplaceAll(name, "/", "-"))
}

// notFound is the exit code of a purge where nothing is pinned.
const notFound = 3

// Purge removes everything that the load balancer pinned, which ends forwarding, if there is anything. Its daemon must not
// run.
func (i instance) Purge() error {
	purge := exec.Command(i.program, "purge", "--pin-dir", i.Pins(), "--socket", i.Socket())
	if said, err := purge.CombinedOutput(); err != nil && purge.ProcessState.ExitCode() != notFound {
		return fmt.Errorf("purge the pins of %s: %w: it said:\n%s", i.path, err, said)
	}
	return nil
}
