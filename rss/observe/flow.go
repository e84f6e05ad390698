// Package observe watches, in the kernel, which receive queue and which CPU the
// packets of each flow were seen on, and with which hash where the NIC tells.
package observe

import (
	"lbctl/rss"
	"lbctl/rss/packet"
)

// Flow is what the kernel saw of one direction of one flow.
type Flow struct {
	Flow    packet.Flow
	Packets uint64
	// Queues counts packets by the receive queue they came on.
	Queues map[rss.Queue]uint64
	// CPUs are the cores they were processed on, ascending.
	CPUs []int
}

// Sighting is the packets of a flow that came on one queue with one hash.
type Sighting struct {
	Flow  packet.Flow
	Queue rss.Queue
	// Hash is the NIC's, if Hashed.
	Hash    uint32
	Hashed  bool
	Packets uint64
	// CPUs are the cores they were processed on, ascending.
	CPUs []int
}
