package capture

import "lbctl/rss/packet"

// Flow is what a capture saw of one direction of one flow.
type Flow struct {
	Flow           packet.Flow
	Packets, Bytes uint64
}
