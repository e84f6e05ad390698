package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"lbctl/control/api"
	"lbctl/control/client"
)

// readyWithin is how long the daemon may take to answer.
const readyWithin = 20 * time.Second

// serve starts the daemon in the balancer's namespace, with a configuration that
// has no service yet, and waits until it answers.
func (s *Stage) serve(ctx context.Context) error {
	if err := s.writeConfig(); err != nil {
		return err
	}
	s.control = client.New(s.path(socketName))
	s.onClose(func() error { s.control.Close(); return nil })
	s.onClose(func() error {
		if s.daemon == nil {
			return nil
		}
		return s.daemon.stop()
	})
	return s.startDaemon(ctx, "-f", s.path("lbctl.yaml"))
}

// startDaemon starts `lbctl serve` and waits until it answers.
func (s *Stage) startDaemon(ctx context.Context, args ...string) (err error) {
	args = append([]string{"serve", "--socket", s.path(socketName), "--state-dir", s.path("state"), "--pin-dir", s.dir.pinDir()}, args...)
	// Not bound to ctx: Close ends it, after those that use it.
	if s.daemon, err = s.start(context.WithoutCancel(ctx), "lbctl serve", s.balancer, args...); err != nil {
		return err
	}
	return s.awaitDaemon(ctx)
}

// Crash kills the daemon, as a crash would: it has no chance to tidy up.
func (s *Stage) Crash() error {
	if err := s.daemon.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill the daemon: %w", err)
	}
	<-s.daemon.ended
	s.daemon = nil
	return nil
}

// Halt ends the daemon as its users do, by SIGTERM. A connection that was made and not used yet would
// keep it for some seconds (net/http, Server.Shutdown): there is none.
func (s *Stage) Halt() error {
	s.control.Close()
	halted := s.daemon
	s.daemon = nil
	return halted.stop()
}

// Purge removes everything that the daemon pinned, which ends forwarding. The daemon must not run.
func (s *Stage) Purge() error { return s.purge(s.dir.path) }

// Restart starts the daemon after a Crash or a Halt, with nothing but what it finds.
func (s *Stage) Restart(ctx context.Context) error { return s.startDaemon(ctx) }

// writeConfig writes the file that the daemon starts from. JSON is YAML too.
func (s *Stage) writeConfig() error {
	config := api.Config{Services: []api.Service{}}
	if s.config.ToeplitzKey != "" || s.config.Flows != 0 {
		config.Datapath = &api.Datapath{}
	}
	if s.config.ToeplitzKey != "" {
		config.Datapath.ToeplitzKey = &s.config.ToeplitzKey
	}
	if flows := int64(s.config.Flows); flows != 0 {
		config.Datapath.Limits = &api.Limits{Flows: &flows}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	if err := os.WriteFile(s.path("lbctl.yaml"), text, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// awaitDaemon asks until the daemon says that it is ready.
func (s *Stage) awaitDaemon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := s.control.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.daemon.ended:
			return errors.Join(errors.New("the daemon ended before it was ready"), s.daemon.wait())
		case <-ctx.Done():
			return fmt.Errorf("wait for the daemon: %w: %w", ctx.Err(), err)
		case <-again.C:
		}
	}
}

// Apply gives the load balancer its services, attached natively to all interfaces.
func (s *Stage) Apply(ctx context.Context, services ...api.Service) error {
	config := api.Config{Services: services}
	for _, name := range s.Interfaces() {
		config.Interfaces = append(config.Interfaces, api.Interface{Name: name, Mode: "native"})
	}
	if _, err := s.control.Apply(ctx, config, client.AnyRevision); err != nil {
		return fmt.Errorf("configure the load balancer: %w", err)
	}
	return nil
}
