package bed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
	"lbctl/testbed/process"
	"lbctl/testbed/replica"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic/hold"
)

// start starts the lbctl binary in a namespace. It is killed when ctx ends.
func (s *Stage) start(ctx context.Context, name string, in *netns.Namespace, args ...string) (*process.Process, error) {
	p, err := process.Start(in, name, append([]string{s.config.Program}, args...)...)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, p.Kill)
	return p, nil
}

// Process is a replica or a client that is not part of an act. It lives until the stage is closed.
// One goroutine at a time.
type Process struct{ *process.Process }

// Echo starts replica i as an echo server at some of its ports, and waits until it accepts connections.
func (s *Stage) Echo(ctx context.Context, i int, config echo.Config) (*Process, error) {
	name := fmt.Sprintf("replica %d", i)
	config.Index = i
	text, err := json.Marshal(struct{ Echo echo.Config }{config})
	if err != nil {
		return nil, fmt.Errorf("encode configuration of %s: %w", name, err)
	}
	p, err := s.process(ctx, name, s.replicas[i], "replica", text)
	if err != nil {
		return nil, err
	}
	return p, p.Await(replica.Ready)
}

// Hold starts clients that hold connections; their addresses are every n-th of the stage's from the i-th on.
func (s *Stage) Hold(ctx context.Context, i, n int, config hold.Config) (*Process, error) {
	name := fmt.Sprintf("clients %d", i)
	for ; i < s.config.Clients; i += n {
		config.Sources = append(config.Sources, clientAddress(i))
	}
	text, err := json.Marshal(struct{ Hold hold.Config }{config})
	if err != nil {
		return nil, fmt.Errorf("encode configuration of %s: %w", name, err)
	}
	return s.process(ctx, name, s.clients, "client", text)
}

// maxFiles is how many files, hence connections, a process may have open: less than the kernel
// allows at all (fs.nr_open, a million). Without CAP_SYS_RESOURCE the hard limit of this process stays.
const maxFiles = 1 << 18

// process starts a process that may have very many connections.
func (s *Stage) process(ctx context.Context, name string, in *netns.Namespace, what string, config []byte) (*Process, error) {
	c, err := s.start(ctx, name, in, "testbed", what, string(config))
	if err != nil {
		return nil, err
	}
	limit := unix.Rlimit{Cur: maxFiles, Max: maxFiles}
	if err := unix.Prlimit(c.PID(), unix.RLIMIT_NOFILE, &limit, nil); err != nil && !errors.Is(err, unix.EPERM) {
		return nil, errors.Join(fmt.Errorf("let %s open %d files: %w", name, maxFiles, err), c.Stop())
	}
	return &Process{c}, nil
}

// Order gives clients an order and returns what they report.
func (p *Process) Order(o hold.Order) (report hold.Report, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return report, fmt.Errorf("encode order: %w", err)
	}
	if err := p.Tell(text); err != nil {
		return report, err
	}
	line, err := p.Line()
	if err != nil {
		return report, err
	}
	if err := json.Unmarshal([]byte(line), &report); err != nil {
		return report, fmt.Errorf("read report: %w", err)
	}
	return report, nil
}
