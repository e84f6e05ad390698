package bed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/testbed/bench/process"
	"lbctl/testbed/netns"
)

// readyWithin is how long the daemon may take to answer.
const readyWithin = 20 * time.Second

// Product is a running load balancer.
type Product struct {
	places places
	daemon *process.Process
	// Control is its API.
	Control *client.Client
}

// Serve starts `lbctl serve` in a namespace, with no service yet, and waits until it answers. The name is
// unique on the bed; letters and digits.
func (b *Bed) Serve(ctx context.Context, in *netns.Namespace, name string) (*Product, error) {
	p := &Product{places: places{b.Path(name)}}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	p.Control = client.New(p.places.socket())
	b.OnClose(func() error { p.Control.Close(); return nil })
	var err error
	p.daemon, err = process.Start(in, "lbctl serve", b.program, "serve", "-f", p.places.config(),
		"--socket", p.places.socket(), "--state-dir", p.places.state(), "--pin-dir", p.places.pins())
	if err != nil {
		return nil, err
	}
	b.OnClose(p.daemon.Stop)
	return p, p.ready(ctx)
}

// prepare makes the folder, and a configuration without services. JSON is YAML too.
func (p *Product) prepare() error {
	if err := os.Mkdir(p.places.folder, 0o700); err != nil {
		return fmt.Errorf("make folder of a load balancer: %w", err)
	}
	text, err := json.Marshal(api.Config{Services: []api.Service{}})
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	if err := os.WriteFile(p.places.config(), text, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// ready asks until the daemon says that it is ready.
func (p *Product) ready(ctx context.Context) error {
	ended := func() error {
		select {
		case <-p.daemon.Ended():
			return errors.Join(errors.New("the daemon ended before it was ready"), p.daemon.Wait())
		default:
			return nil
		}
	}
	return Until(ctx, readyWithin, "the daemon", func() (err error) {
		_, err = p.Control.Ready(ctx)
		return err
	}, ended)
}

// PID is the daemon's process number.
func (p *Product) PID() int { return p.daemon.PID() }

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
