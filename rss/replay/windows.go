package replay

import (
	"slices"
	"time"
)

// maxCells bounds the memory of windows: windows times queues.
const maxCells = 1 << 20

// windows are loads by queue and time.
type windows struct {
	width  time.Duration
	queues int
	// most is how many there may be.
	most int
	list [][]Load
}

func newWindows(width time.Duration, queues int) windows {
	return windows{width: width, queues: queues, most: min(4096, max(maxCells/queues, 16))}
}

// add counts a packet at a time since the first.
func (s *windows) add(since time.Duration, queue int, bytes uint64) {
	if s.width == 0 {
		return
	}
	for since/s.width >= time.Duration(s.most) {
		s.widen()
	}
	i := int(since / s.width)
	for len(s.list) <= i {
		s.list = append(s.list, make([]Load, s.queues))
	}
	s.list[i][queue].add(bytes)
}

// widen doubles the width: every two windows become one.
func (s *windows) widen() {
	for i, window := range s.list {
		if i%2 == 0 {
			s.list[i/2] = window
			continue
		}
		for q, load := range window {
			s.list[i/2][q].Packets += load.Packets
			s.list[i/2][q].Bytes += load.Bytes
		}
	}
	s.list = slices.Delete(s.list, (len(s.list)+1)/2, len(s.list))
	s.width *= 2
}
