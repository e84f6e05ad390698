package rig

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// batch is how many frames are handled at a time: workers are woken once a batch, not once a frame.
const batch = 64

// reader takes frames off the wire, classifies them and puts them on the ring of their queue.
type reader struct {
	nic    *SoftNIC
	fd     int
	buffer []byte
	// filled is by queue: whether this batch put something on its ring.
	filled []bool
}

func newReader(s *SoftNIC) *reader {
	return &reader{
		nic: s, fd: s.wire.fds[0],
		buffer: make([]byte, frameSize(s.config.MTU)), filled: make([]bool, s.config.Queues),
	}
}

// run reads until the NIC stops, or the interface fails.
func (r *reader) run() error {
	runtime.LockOSThread()
	fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}, {Fd: int32(r.nic.stop.fd), Events: unix.POLLIN}}
	for {
		n, err := r.batch()
		if err != nil {
			return fmt.Errorf("read wire: %w", err)
		}
		r.wake()
		if n == batch && !r.nic.stopping() {
			continue
		}
		if err := wait(fds); err != nil {
			return fmt.Errorf("wait for wire: %w", err)
		}
		if fds[1].Revents != 0 {
			return nil
		}
	}
}

// batch handles up to a batch of frames and returns their number.
func (r *reader) batch() (int, error) {
	for n := range batch {
		size, err := read(r.fd, r.buffer)
		if errors.Is(err, unix.EAGAIN) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		r.receive(r.buffer[:size])
	}
	return batch, nil
}

// receive is a NIC's work for one frame.
func (r *reader) receive(frame []byte) {
	b := r.nic.behaviour.Load()
	q := b.queue(frame)
	c := &b.counts[q]
	if !r.nic.rings[q].push(frame) {
		c.drops.Add(1)
		return
	}
	c.frames.Add(1)
	c.bytes.Add(uint64(len(frame)))
	r.filled[q] = true
}

// wake is the interrupt: it wakes the workers that sleep and have something to do.
func (r *reader) wake() {
	for q, filled := range r.filled {
		if filled {
			r.nic.workers[q].interrupt()
			r.filled[q] = false
		}
	}
}

// ring holds frames between one producer and one consumer, in preallocated slots: a
// NIC's receive ring. The producer calls push, the consumer front and advance.
type ring struct {
	slots []byte
	sizes []uint32
	size  uint64 // of a slot, in bytes
	count uint64 // of slots

	_ [64]byte // head and tail on cache lines of their own
	// head counts the frames ever pushed, tail those ever popped.
	head atomic.Uint64
	_    [56]byte
	tail atomic.Uint64
	_    [56]byte
}

func newRing(frames, frameSize int) *ring {
	return &ring{
		slots: make([]byte, frames*frameSize), sizes: make([]uint32, frames),
		size: uint64(frameSize), count: uint64(frames),
	}
}

// push copies a frame, at most as long as a slot, and reports whether there was room.
func (r *ring) push(frame []byte) bool {
	head := r.head.Load()
	if head-r.tail.Load() == r.count {
		return false
	}
	i := head % r.count
	r.sizes[i] = uint32(copy(r.slots[i*r.size:(i+1)*r.size], frame))
	r.head.Store(head + 1)
	return true
}

// front returns the oldest frame, valid until advance, or nil if there is none.
func (r *ring) front() []byte {
	tail := r.tail.Load()
	if tail == r.head.Load() {
		return nil
	}
	i := tail % r.count
	return r.slots[i*r.size : i*r.size+uint64(r.sizes[i])]
}

// advance frees the slot of the oldest frame.
func (r *ring) advance() { r.tail.Add(1) }
