package sim

import "time"

// Arrival is a packet as it leaves the NIC's classifier. A stream of them, an
// iter.Seq[Arrival], drives a simulation: made by rss/sim/load, or read from a
// capture.
type Arrival struct {
	// At is when the packet is there, since the start; never before the one ahead of it.
	At time.Duration
	// Length is that of the frame, in bytes.
	Length int
	// Hash is the RSS hash; without Hashed it is not looked at, and the queue is 0.
	Hash   uint32
	Hashed bool
}

// packet is what is kept of an arrival while it waits.
type packet struct {
	at     time.Duration
	length int32
	// queue is the index of the queue that it came by.
	queue int32
}
