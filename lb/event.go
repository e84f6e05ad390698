package lb

import "net/netip"

// Event is something that happened in the network and that the forwarding depends on.
type Event struct {
	Kind EventKind
	// Index is that of the link; of NextHopChanged that of the link to the next hop, 0 when there is none.
	Index int
	// Interface is the name of the link, of LinkChanged and LinkGone.
	Interface string
	// Detail says what was done, of Mended.
	Detail string
	// Replica is the one whose next hop changed, and Resolved whether its MAC address is known now.
	Replica  netip.AddrPort
	Resolved bool
}

// EventKind says what happened.
type EventKind string

const (
	// LinkChanged: a link appeared, was renamed, went up or down, or has another MAC address, MTU or master.
	LinkChanged EventKind = "link_changed"
	// LinkGone: a link was deleted or moved to another network namespace.
	LinkGone EventKind = "link_gone"
	// NextHopChanged: packets reach a replica by another link or MAC address, or have none to go to.
	NextHopChanged EventKind = "next_hop_changed"
	// LinkLost: an attached interface has gone, or somebody has detached it.
	LinkLost EventKind = "link_lost"
	// Mended: others had changed the datapath in the kernel, and it is as it was again.
	Mended EventKind = "mended"
	// EventsLost: events before this one were not read in time.
	EventsLost EventKind = "events_lost"
)

// EventBuffer is how many events wait for the reader before others are lost.
const EventBuffer = 256
