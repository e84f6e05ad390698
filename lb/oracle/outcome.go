package oracle

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Outcome is what Decide decided. It shares memory with the frame and with what the View
// returned.
type Outcome struct {
	Verdict     Verdict
	Explanation lb.Explanation
	Effects     Effects
	// Service and Replica are those that the packet is to, or an answer from, as far as they
	// were found.
	Service lb.VIP
	Replica netip.AddrPort
}

// Effects are what a packet changes in the tables. Counters are not among them: they follow
// from the explanation.
type Effects struct {
	// Fragment is remembered from now on, if it is not nil, over what was remembered of its key.
	Fragment *FragmentEffect
	// Trace says what becomes of the memory of Flow, a flow to the service with VIP.
	Trace Trace
	VIP   lb.VIP
	Flow  packet.Flow
	// Replica is that of a flow that Started.
	Replica netip.AddrPort
	// Slot is that of a previous owner that was used, in the previous table if the service is rehashed.
	Slot uint32
}

// FragmentEffect is what a first fragment says of the later ones.
type FragmentEffect struct {
	Key   FragmentKey
	Ports FragmentPorts
}

// Trace is what a packet leaves in the memory of flows.
type Trace uint8

const (
	// NoTrace: nothing.
	NoTrace Trace = iota
	// Started: the flow is recorded as half-open with its replica, instead of any earlier record.
	Started
	// Promoted: its record is established and of age 0 from now on, if there is room.
	Promoted
	// Refreshed: the age of its record becomes 0.
	Refreshed
	// PreviousUsed: the age of the slot's previous owner becomes 0.
	PreviousUsed
)
