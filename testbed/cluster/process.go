package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic/flood"
	"lbctl/testbed/traffic/hold"
)

// Start starts a helper in a namespace of a cluster. It is killed when ctx ends, at the latest with the bed. Label
// stands in errors.
func Start[C any](ctx context.Context, s *Cluster, h helper.Helper[C], in *netns.Namespace, label string, config C) (*helper.Process, error) {
	p, err := h.Start(s.bed.Program(), in, label, config)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, p.Kill)
	return p, nil
}

// maxFiles is how many files, hence connections, a process may have open: less than the kernel
// allows at all (fs.nr_open, a million). Without CAP_SYS_RESOURCE the hard limit of this process stays.
const maxFiles = 1 << 18

// allowFiles lets a process have very many connections.
func allowFiles(p *helper.Process) error {
	limit := unix.Rlimit{Cur: maxFiles, Max: maxFiles}
	err := unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, &limit, nil)
	if err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("allow %d open files: %w", maxFiles, err)
	}
	return nil
}

// Echo starts replica i as an echo server at some of its ports, and waits until it accepts connections. It
// runs until the bed is closed or ctx ends.
func (s *Cluster) Echo(ctx context.Context, i int, config echo.Config) (*helper.Process, error) {
	config.Index = i
	p, err := Start(ctx, s, echo.Helper(), s.replicas[i], fmt.Sprintf("replica %d", i), config)
	if err != nil {
		return nil, err
	}
	if err := allowFiles(p); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, p.Await(helper.Ready)
}

// Holders are clients that hold connections and take orders. One goroutine at a time.
type Holders struct{ *helper.Process }

// Hold starts clients that hold connections; their addresses are every n-th of the cluster's from the i-th on.
// They run until the bed is closed or ctx ends.
func (s *Cluster) Hold(ctx context.Context, i, n int, config hold.Config) (*Holders, error) {
	label := fmt.Sprintf("clients %d", i)
	for ; i < s.config.Clients; i += n {
		config.Sources = append(config.Sources, ClientAddress(i))
	}
	p, err := Start(ctx, s, hold.Helper(), s.clients, label, config)
	if err != nil {
		return nil, err
	}
	if err := allowFiles(p); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return &Holders{p}, nil
}

// Order gives the clients an order and returns their report.
func (h *Holders) Order(o hold.Order) (report hold.Report, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return report, fmt.Errorf("encode order: %w", err)
	}
	if err := h.Tell(text); err != nil {
		return report, err
	}
	line, err := h.Line()
	if err != nil {
		return report, err
	}
	if err := json.Unmarshal([]byte(line), &report); err != nil {
		return report, fmt.Errorf("read report: %w", err)
	}
	return report, nil
}

// Flood opens a sender of TCP segments to the load balancer that no kernel of a client would send.
func (s *Cluster) Flood(config flood.Config) (*flood.Sender, error) {
	config.Link, config.Gateway = s.wire, packet.MAC(s.host.MAC)
	return flood.Open(config)
}

// Capture is what was captured on one link.
type Capture struct {
	Flows []capture.Flow
	// Dropped counts packets for which the capture had no room.
	Dropped uint64
}

// Captured captures what arrives at the replicas numbered from one to another, excluded, while f runs. To open and
// to close a packet socket takes the kernel a grace period each: that is done for all at once.
func (s *Cluster) Captured(from, to int, f func() error) ([]Capture, error) {
	n := to - from
	running, errs := make([]*capture.Capture, n), make([]error, n)
	each(n, func(i int) {
		running[i], errs[i] = capture.Start(s.links[from+i], capture.Options{Incoming: true})
	})
	err := errors.Join(errs...)
	if err == nil {
		err = f()
	}
	all := make([]Capture, n)
	each(n, func(i int) {
		if errs[i] == nil {
			all[i], errs[i] = stop(running[i])
		}
	})
	return all, errors.Join(append(errs, err)...)
}

func stop(c *capture.Capture) (Capture, error) {
	flows, stats, err := c.Stop()
	return Capture{Flows: flows, Dropped: stats.Dropped}, err
}

// each calls f for 0 to n-1 at once, and waits.
func each(n int, f func(int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
