package rings

import (
	"bytes"
	"fmt"
	"sync"
)

// Policy is where the buffers of packets come from.
type Policy string

// The policies. A pool of one is a ring with a single slot: the control.
const (
	Allocate Policy = "allocate"
	Pool     Policy = "sync.Pool"
	Ring     Policy = "ring"
	One      Policy = "ring of one"
)

func policies() []Policy { return []Policy{Allocate, Pool, Ring, One} }

// buffers gives buffers out and takes them back.
type buffers interface {
	// get returns a buffer, nil if there is none.
	get() []byte
	put([]byte)
}

// newBuffers returns the buffers of an order.
func newBuffers(o Order) (buffers, error) {
	switch o.Policy {
	case Allocate:
		return allocated{}, nil
	case Pool:
		return pooled{&sync.Pool{New: func() any { return new([bufferSize]byte) }}}, nil
	case Ring:
		return newSlots(o.Slots), nil
	case One:
		return newSlots(1), nil
	}
	return nil, fmt.Errorf("policy %q: want one of %v", o.Policy, policies())
}

// allocated allocates a buffer for each packet and forgets it.
type allocated struct{}

func (allocated) get() []byte { return make([]byte, bufferSize) }
func (allocated) put([]byte)  {}

// pooled keeps buffers in a sync.Pool, which the collector empties.
type pooled struct{ *sync.Pool }

func (p pooled) get() []byte  { return p.Get().(*[bufferSize]byte)[:] }
func (p pooled) put(b []byte) { p.Put((*[bufferSize]byte)(b[:bufferSize])) }

// slots is a ring of buffers in one piece of memory, made once. They are given back in the order in which they were given
// out, as a NIC's descriptors are.
type slots struct {
	memory []byte
	// taken and returned count up; a slot is that of their remainder.
	size, taken, returned int
}

func newSlots(size int) *slots { return &slots{memory: make([]byte, size*bufferSize), size: size} }

func (s *slots) get() []byte {
	if s.taken-s.returned == s.size {
		return nil
	}
	at := s.taken % s.size * bufferSize
	s.taken++
	return s.memory[at : at+bufferSize : at+bufferSize]
}

// put takes the oldest buffer back, or, if it is the newest, as if it had not been given out.
func (s *slots) put(b []byte) {
	newest := (s.taken - 1) % s.size * bufferSize
	if &b[0] == &s.memory[newest] {
		s.taken--
		return
	}
	s.returned++
}

// window holds the frames that the program has not finished with.
type window struct {
	buffers buffers
	kept    [][]byte
	// next is the place of the next frame, which the oldest one has if the window is full.
	next  int
	want  []byte
	round *Round
}

func newWindow(b buffers, size int, want []byte, round *Round) *window {
	return &window{buffers: b, kept: make([][]byte, size), want: want, round: round}
}

// keep takes a frame, and finishes with the oldest if the window is full.
func (w *window) keep(frame []byte) {
	w.finish()
	w.kept[w.next] = frame
	w.next = (w.next + 1) % len(w.kept)
}

// finish looks at the frame of the next place, if there is one, as a program does that has its answer ready now, and gives
// its buffer back.
func (w *window) finish() {
	frame := w.kept[w.next]
	if frame == nil {
		return
	}
	if !bytes.Equal(frame, w.want) {
		w.round.Damaged++
	}
	w.buffers.put(frame[:bufferSize])
	w.kept[w.next] = nil
}

// empty finishes with all that are kept, the oldest first.
func (w *window) empty() {
	for range w.kept {
		w.finish()
		w.next = (w.next + 1) % len(w.kept)
	}
}
