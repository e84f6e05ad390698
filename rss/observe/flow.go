// Package observe watches, in the kernel, which receive queue and which CPU the
// packets of each flow were seen on.
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
