package verify

import (
	"lbctl/rss"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
)

// Observation is one packet or several that came alike.
type Observation struct {
	// Frame is the packet's beginning, from its Ethernet header on; nil where only the Flow is known.
	Frame []byte
	// Flow is whose plain packets they are, if there is no Frame.
	Flow  packet.Flow
	Queue rss.Queue
	// CPUs are the cores that they were processed on, where that is known.
	CPUs []int
	// Hash is the NIC's, if Hashed.
	Hash    uint32
	Hashed  bool
	Packets uint64
}

// OfSample returns a sample as an observation of one packet.
func OfSample(s observe.Sample) Observation {
	return Observation{Frame: s.Frame, Queue: s.Queue, CPUs: []int{s.CPU}, Hash: s.Hash, Hashed: s.Hashed, Packets: 1}
}

// OfSighting returns a sighting as an observation.
func OfSighting(s observe.Sighting) Observation {
	return Observation{Flow: s.Flow, Queue: s.Queue, CPUs: s.CPUs, Hash: s.Hash, Hashed: s.Hashed, Packets: s.Packets}
}
