package tables

import (
	"bytes"
	"sync/atomic"
	"unsafe"
)

// Steps are where the tables are stored to, and where packets are waited for. The product does not look at them. A test
// that sets After sees all that packets can see.
type Steps struct {
	// After, if it is not nil, is called after every step.
	After func(Step)
}

// Word is the size of a store to a row that is seen by itself.
const Word = 4

// Step is one store of a word, or a wait.
type Step struct {
	// Word is where was stored; nil: packets were waited for, none that began before is on its way.
	Word []byte
	// Switch tells that it was one aligned store, meant for packets to see. The words of a row are stored one after
	// the other: packets must not see them yet.
	Switch bool
}

func (s *Steps) watched() bool { return s != nil && s.After != nil }

// waited is the step after a grace period.
func (s *Steps) waited() {
	if s.watched() {
		s.After(Step{})
	}
}

// put writes what no packet may be reading, in any order. Who watches sees it word by word.
func put[T any](s *Steps, to *T, is T) {
	if !s.watched() {
		*to = is
		return
	}
	from, at := bytesOf(&is), bytesOf(to)
	for len(at) > 0 {
		n := min(Word, len(at))
		if !bytes.Equal(at[:n], from[:n]) { // what stands there already no packet can tell
			copy(at[:n], from)
			s.After(Step{Word: at[:n]})
		}
		from, at = from[n:], at[n:]
	}
}

// store32 switches from one word to another.
func (s *Steps) store32(to *uint32, is uint32) {
	atomic.StoreUint32(to, is)
	if s.watched() {
		s.After(Step{Word: bytesOf(to), Switch: true})
	}
}

// store16 is store32 for a word of 16 bits. It is one store on every machine that this runs on; sync/atomic has none, and
// nobody else stores to what it is for.
func (s *Steps) store16(to *uint16, is uint16) {
	*to = is
	if s.watched() {
		s.After(Step{Word: bytesOf(to), Switch: true})
	}
}

// store64 is store32 for a word of 64 bits.
func (s *Steps) store64(to *uint64, is uint64) {
	atomic.StoreUint64(to, is)
	if s.watched() {
		s.After(Step{Word: bytesOf(to), Switch: true})
	}
}

// swap64 is store32 unless a packet has changed the word.
func (s *Steps) swap64(to *uint64, was, is uint64) bool {
	swapped := atomic.CompareAndSwapUint64(to, was, is)
	if s.watched() {
		s.After(Step{Word: bytesOf(to), Switch: true})
	}
	return swapped
}

// bytesOf returns the memory of a variable.
func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
