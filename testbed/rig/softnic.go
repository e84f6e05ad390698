// Package rig delivers frames to receive queues. SoftNIC is a multi-queue NIC in
// user space: the kernel's native XDP sees a frame on the queue and the core that the
// RSS model predicts, and real TCP runs through it. It proves nothing about DMA, line rate or interrupts
// of hardware.
package rig

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"lbctl/rss"
	"lbctl/testbed/netns"
)

// SoftNIC is a running NIC. Safe for concurrent use, but for Close.
type SoftNIC struct {
	config  Config
	wire    *tap
	host    *tap
	cores   []int
	rings   []*ring
	workers []*worker
	stop    event
	stopped atomic.Bool
	threads sync.WaitGroup

	// behaviour is how the reader classifies; it reads it for every frame.
	behaviour atomic.Pointer[behaviour]
	mu        sync.Mutex // guards history and failures, and changes of behaviour
	history   []*behaviour
	failures  []error
}

// Start makes both interfaces, up and without offloads, and starts the NIC.
func Start(c Config) (*SoftNIC, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("start softnic: %w", err)
	}
	s := &SoftNIC{config: c}
	if err := s.open(); err != nil {
		s.release()
		return nil, fmt.Errorf("start softnic: %w", err)
	}
	s.change(&behaviour{nic: c.NIC, counts: make([]count, c.Queues)})
	s.run()
	return s, nil
}

// open allocates everything whose allocation can fail.
func (s *SoftNIC) open() (err error) {
	if s.cores, err = allowedCores(); err != nil {
		return err
	}
	if s.stop, err = newEvent(); err != nil {
		return err
	}
	if s.wire, err = openWire(s.config.Wire, s.config.MTU); err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	if s.host, err = openHost(s.config.Host, s.config.Queues, s.config.MTU); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	for q := range s.config.Queues {
		r := newRing(s.config.Ring, frameSize(s.config.MTU))
		s.rings = append(s.rings, r)
		w, err := newWorker(s, rss.Queue(q), r)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, w)
	}
	return nil
}

// run starts the threads. Each occupies one of the Go scheduler's processors while there are
// frames, so run adds as many: otherwise the rest of the program and the NIC would wait for each other.
func (s *SoftNIC) run() {
	s.processors(+1)
	s.threads.Go(func() { s.fail(newReader(s).run()) })
	for _, w := range s.workers {
		s.threads.Go(func() { s.fail(w.run()) })
	}
}

// processors gives the program a processor for each thread of the NIC, or takes them back.
func (s *SoftNIC) processors(sign int) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + sign*(len(s.workers)+1))
}

// fail records why a thread ended too early.
func (s *SoftNIC) fail(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, err)
}

// Close stops the NIC and removes both interfaces; the statistics stay. It returns an error
// if a thread had failed before: then frames were lost. A second call does nothing.
func (s *SoftNIC) Close() error {
	if s.stopped.Swap(true) {
		return nil
	}
	s.stop.signal()
	s.threads.Wait()
	s.processors(-1)
	s.release()
	return errors.Join(s.failures...)
}

// release frees what open allocated, also a part of it.
func (s *SoftNIC) release() {
	for _, w := range s.workers {
		w.wake.close()
	}
	s.wire.close()
	s.host.close()
	s.stop.close()
}

// stopping says whether Close was called.
func (s *SoftNIC) stopping() bool { return s.stopped.Load() }

// Core returns the core on which a queue's frames are delivered.
func (s *SoftNIC) Core(q rss.Queue) int { return s.cores[int(q)%len(s.cores)] }

// Wire returns the clients' link.
func (s *SoftNIC) Wire() (netns.Link, error) { return s.config.Wire.Namespace.Link(s.config.Wire.Name) }

// Host returns the balancer's link.
func (s *SoftNIC) Host() (netns.Link, error) { return s.config.Host.Namespace.Link(s.config.Host.Name) }
