package rig

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// The ring is a bounded queue: compared with a slice, operation by operation.
func TestRingIsABoundedQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 5).Draw(t, "capacity")
		r := newRing(capacity, 8)
		var want [][]byte
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				frame := rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "frame")
				room := len(want) < capacity
				if got := r.push(frame); got != room {
					t.Fatalf("push says %v with %d of %d", got, len(want), capacity)
				}
				if room {
					want = append(want, frame)
				}
			},
			"pop": func(t *rapid.T) {
				got := r.front()
				if len(want) == 0 {
					if got != nil {
						t.Fatalf("front of an empty ring: %x", got)
					}
					return
				}
				if !bytes.Equal(got, want[0]) {
					t.Fatalf("front %x, want %x", got, want[0])
				}
				r.advance()
				want = want[1:]
			},
		})
	})
}

// One producer and one consumer on two threads: every frame, in order. Meant for -race.
func TestRingBetweenTwoThreads(t *testing.T) {
	const frames = 100_000
	r := newRing(16, 8)
	go func() {
		var frame [8]byte
		for i := range uint64(frames) {
			binary.NativeEndian.PutUint64(frame[:], i)
			for !r.push(frame[:]) {
			}
		}
	}()
	for want := range uint64(frames) {
		var frame []byte
		for frame == nil {
			frame = r.front()
		}
		if got := binary.NativeEndian.Uint64(frame); got != want {
			t.Fatalf("frame %d, want %d", got, want)
		}
		r.advance()
	}
}
