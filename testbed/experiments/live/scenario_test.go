package live

import (
	"bytes"
	"encoding/binary"
	"testing"

	"lbctl/control/api"
)

// TestFrames: as many as flows, all different, each with room for the mark behind its packet.
func TestFrames(t *testing.T) {
	for _, s := range scenarios() {
		seen := map[string]bool{}
		for _, f := range s.frames() {
			if len(f) > markAt {
				t.Fatalf("%s: a frame of %d bytes: the mark at %d would be in its packet", s.name, len(f), markAt)
			}
			seen[string(f)] = true
		}
		if len(seen) != s.flows || s.flows&(s.flows-1) != 0 {
			t.Errorf("%s: %d different frames, want %d, a power of two", s.name, len(seen), s.flows)
		}
	}
}

// TestRow: byte 6 is first, bytes 0 to 5 are last, the mark ends the frame.
func TestRow(t *testing.T) {
	frame := make([]byte, 60)
	for i := range frame {
		frame[i] = byte(i)
	}
	r := row(frame)
	if len(r) != rowSize || !bytes.Equal(r[:54], frame[6:]) || !bytes.Equal(r[frameSize-6:frameSize], frame[:6]) {
		t.Errorf("row %v", r)
	}
	if got := binary.NativeEndian.Uint32(r[markAt-6:]); got != mark {
		t.Errorf("mark %#x, want %#x", got, mark)
	}
}

// TestServices: the scenarios' virtual addresses are served.
func TestServices(t *testing.T) {
	served := map[string]api.Service{}
	for _, s := range services() {
		served[s.VIP] = s
	}
	for _, s := range scenarios() {
		if got := served[vip(s.six).String()]; len(got.Replicas) != replicas {
			t.Errorf("%s: %d replicas, want %d", s.name, len(got.Replicas), replicas)
		}
	}
}
