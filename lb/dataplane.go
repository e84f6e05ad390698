package lb

import (
	"context"
	"net/netip"

	"lbctl/rss/packet"
)

// Dataplane is a load balancer's forwarding side: it holds services and
// interfaces, and counts. The kernel's is lb/datapath.Datapath; lb/model.Memory is one in
// memory. Both pass lb/dataplanetest.
//
// Every method is atomic and safe for concurrent use: it happens or, with an
// error, nothing changes. A packet sees a service before or after a change, never between.
type Dataplane interface {
	// Services returns what is being forwarded, sorted by VIP.
	Services() ([]Service, error)
	// SetService adds a service or replaces the one with its VIP. It must be valid
	// (Service.Validate). Errors: ErrFull; ErrConflict when a nat replica belongs to
	// another VIP.
	SetService(ctx context.Context, s Service) error
	// RemoveService removes a service. Errors: ErrNotFound.
	RemoveService(ctx context.Context, v VIP) error

	// Interfaces returns the interfaces that are attached, sorted by name.
	Interfaces() ([]Interface, error)
	// Attach makes the interface's packets go through the datapath; attaching what
	// is attached in the same mode changes nothing. Errors: ErrNotFound (no such interface),
	// ErrConflict (held by another XDP program, which is named, or attached in another mode), ErrUnsupported (mode
	// native where the driver cannot, MTU too large), ErrDenied.
	Attach(ctx context.Context, name string, mode AttachMode) (Interface, error)
	// Detach is the reverse. Errors: ErrNotFound.
	Detach(ctx context.Context, name string) error

	// Counters returns counters since the tables were made.
	Counters() (Counters, error)
	// Explain says what would happen to a packet that arrives now, from the live
	// tables, changing nothing.
	Explain(p Probe) (Explanation, error)

	// Close releases the handle. What is attached goes on forwarding.
	Close() error
}

// AttachMode is how a program is hooked to an interface.
type AttachMode string

const (
	// Auto is native where the driver can, else generic. Which one it became is reported.
	Auto AttachMode = "auto"
	// Native runs in the driver, before a socket buffer exists.
	Native AttachMode = "native"
	// Generic runs on socket buffers: any driver, slower.
	Generic AttachMode = "generic"
)

// Interface is an attached network interface.
type Interface struct {
	Name  string
	Index int
	// Mode is Native or Generic, never Auto.
	Mode AttachMode
}

// Count is a number of packets and their bytes, Ethernet header included,
// checksum and preamble not.
type Count struct {
	Packets, Bytes uint64
}

// Counters are what a datapath counted, summed over CPUs.
type Counters struct {
	// Reasons holds every reason, also those never seen. Their sum is the number of packets seen.
	Reasons map[Reason]Count
	// Services holds forwarded packets by service.
	Services map[VIP]Count
	// Replicas holds forwarded packets by service and replica.
	Replicas map[VIP]map[netip.AddrPort]Count
}

// Probe describes a packet to Explain: the first of the flow if SYN.
type Probe struct {
	Flow packet.Flow
	SYN  bool
}

// Explanation is the way of one packet. Fields past the one that decided are zero.
type Explanation struct {
	Reason Reason
	// Service is the service found, nil when the packet is not for a VIP.
	Service *Service
	// Hash is the 32-bit value; Slot = Hash mod TableSize.
	Hash uint32
	Slot uint32
	// Current and Base are the two owners of the slot.
	Current, Base netip.AddrPort
	// Replica is the one chosen.
	Replica netip.AddrPort
	// Rewritten is the flow as the replica sees it.
	Rewritten packet.Flow
	// NextHop is how it leaves.
	NextHop NextHop
}

// NextHop is the layer-2 way to a replica. The zero value is unresolved.
type NextHop struct {
	Interface   string
	Index       int
	Source      MAC
	Destination MAC
}

// MAC is an Ethernet address.
type MAC [6]byte
