// Package spread is the experiment of problems 5a and 10: every packet of a connection
// goes to one queue, one core and one replica; requests for one object do not.
//
// The analysis is pure: Checks and the figures are functions of Evidence. Three
// witnesses gave it, which know nothing of each other: the logs of clients and replicas, the
// captures on the replicas' links, and the observer in the kernel.
package spread

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/observe"
	"lbctl/testbed/capture"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// Evidence is what the witnesses saw of one arm.
type Evidence struct {
	VIP netip.AddrPort
	// Replicas are the addresses of the replicas; the position is their number.
	Replicas []netip.AddrPort
	// Objects is how many there are to ask for; Wanted is how many requests were to be made.
	Objects, Wanted int
	// Requests is the clients' log.
	Requests []traffic.Request
	// Access holds the access log of each replica.
	Access [][]replica.Access
	// Captures holds what was captured on each replica's link.
	Captures []Capture
	// Observed is what the kernel's observer saw on the NIC; Missed counts the packets
	// that it had no room for.
	Observed []observe.Flow
	Missed   uint64
	// Reasons are packets by reason, from the load balancer's counters.
	Reasons map[lb.Reason]uint64
	// LinkDropped is how many packets the kernel dropped between the load balancer and the replicas,
	// where a link's queue was full, by the links' own counters.
	LinkDropped uint64
	// Seen is how many packets came to the load balancer's interfaces, counted
	// without its help.
	Seen uint64
}

// Capture is what was captured on one replica's link: flows of both directions.
type Capture struct {
	Flows []capture.Flow
	// Dropped counts packets that the capture had no room for.
	Dropped uint64
}

// Problems of a testbed that looks at itself: what a witness did not see.
func (e Evidence) captureDrops() uint64 {
	var n uint64
	for _, c := range e.Captures {
		n += c.Dropped
	}
	return n
}
