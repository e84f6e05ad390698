package bed

import (
	"errors"
	"sync"

	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/traffic/flood"
)

// Flood opens a sender of segments that nobody's kernel sends, to the load balancer.
func (s *Stage) Flood(config flood.Config) (*flood.Sender, error) {
	config.Link, config.Gateway = s.wire, packet.MAC(s.host.MAC)
	return flood.Open(config)
}

// Captured captures what comes to the replicas from one number to another, which is not of them, while
// f runs. To open and to close a packet socket takes the kernel a grace period each: that is done for all at once.
func (s *Stage) Captured(from, to int, f func() error) ([]Capture, error) {
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
