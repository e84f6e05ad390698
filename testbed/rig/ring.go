package rig

import "sync/atomic"

// ring holds frames between one producer and one consumer, in preallocated slots: a
// NIC's receive ring. push and wake-up are the producer's, pop is the consumer's.
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

// advance gives the front's slot back.
func (r *ring) advance() { r.tail.Add(1) }
