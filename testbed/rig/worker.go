package rig

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lbctl/rss"
)

// worker is the driver's half of a queue, on the queue's core: it delivers the frames of the
// ring to the host, and writes what the host sends to the wire.
type worker struct {
	nic    *SoftNIC
	queue  rss.Queue
	ring   *ring
	host   int
	wire   int
	buffer []byte
	wake   event
	// asleep is true from before the worker checks the ring for the last time until it is awake
	// again: only then it has to be woken.
	asleep atomic.Bool

	refused, returned, lost atomic.Uint64
}

func newWorker(s *SoftNIC, q rss.Queue, r *ring) (*worker, error) {
	wake, err := newEvent()
	if err != nil {
		return nil, err
	}
	return &worker{
		nic: s, queue: q, ring: r, wake: wake,
		host: s.host.fds[q], wire: s.wire.fds[0],
		buffer: make([]byte, frameSize(s.config.MTU)),
	}, nil
}

// interrupt wakes the worker if it sleeps.
func (w *worker) interrupt() {
	if w.asleep.CompareAndSwap(true, false) {
		w.wake.signal()
	}
}

// run works until the NIC stops, or an interface fails.
func (w *worker) run() error {
	if err := pin(w.nic.Core(w.queue)); err != nil {
		return err
	}
	fds := []unix.PollFd{
		{Fd: int32(w.host), Events: unix.POLLIN},
		{Fd: int32(w.wake.fd), Events: unix.POLLIN},
		{Fd: int32(w.nic.stop.fd), Events: unix.POLLIN},
	}
	for {
		delivered := w.deliver()
		returned, err := w.bringBack()
		if err != nil {
			return fmt.Errorf("read queue %d of host: %w", w.queue, err)
		}
		if delivered+returned > 0 && !w.nic.stopping() {
			continue
		}
		w.asleep.Store(true)
		if w.ring.front() == nil || w.nic.stopping() {
			if err := wait(fds); err != nil {
				return fmt.Errorf("wait for queue %d: %w", w.queue, err)
			}
		}
		w.asleep.Store(false)
		if fds[2].Revents != 0 {
			return nil
		}
		if fds[1].Revents != 0 {
			w.wake.clear()
		}
	}
}

// deliver writes up to a batch of the ring's frames to the host, where XDP runs within the write.
func (w *worker) deliver() int {
	for n := range batch {
		frame := w.ring.front()
		if frame == nil {
			return n
		}
		if err := write(w.host, frame); err != nil {
			w.refused.Add(1)
		}
		w.ring.advance()
	}
	return batch
}

// bringBack writes up to a batch of the frames that the host sends to the wire.
func (w *worker) bringBack() (int, error) {
	for n := range batch {
		size, err := read(w.host, w.buffer)
		if errors.Is(err, unix.EAGAIN) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if err := write(w.wire, w.buffer[:size]); err != nil {
			w.lost.Add(1)
			continue
		}
		w.returned.Add(1)
	}
	return batch, nil
}
