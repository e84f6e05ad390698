package lb

import (
	"context"
	"net/netip"

	"lbctl/rss/packet"
)

// Dataplane is a load balancer's forwarding side: it holds services and interfaces, and counts. Two implement it:
// the kernel's, lb/datapath.Datapath, and the reference in memory, lb/oracle.Datapath. Both pass lb/contract.
//
// Every method is atomic and safe for concurrent use: on error nothing has changed. A packet sees a service as it
// is before or after a change, never between.
type Dataplane interface {
	// Services returns what is being forwarded, sorted by VIP.
	Services() ([]Service, error)
	// SetService adds a service or replaces the one with its VIP. It must be valid
	// (Service.Validate). Errors: ErrFull; ErrConflict when a nat replica belongs to
	// another VIP, and not both record every flow.
	SetService(ctx context.Context, s Service) error
	// RemoveService removes a service. Errors: ErrNotFound.
	RemoveService(ctx context.Context, v VIP) error

	// Interfaces returns the interfaces that are attached, sorted by name.
	Interfaces() ([]Interface, error)
	// Attach makes the interface's packets go through the datapath. It changes nothing if the interface is attached
	// in this mode already. Errors: ErrNotFound (no such interface),
	// ErrConflict (held by another XDP program, which is named, or attached in another mode), ErrUnsupported (mode
	// native where the driver cannot, MTU too large), ErrDenied.
	Attach(ctx context.Context, name string, mode AttachMode) (Interface, error)
	// MayAttach returns the error that Attach would, as far as it is known before it is tried: not whether the driver can.
	// It changes nothing. Errors: ErrNotFound, ErrConflict.
	MayAttach(name string, mode AttachMode) error
	// Detach is the reverse. Errors: ErrNotFound.
	Detach(ctx context.Context, name string) error

	// Counters returns counters since the tables were made.
	Counters() (Counters, error)
	// ReasonCounts returns Reasons, Losses and LossesUnknown of Counters alone, and takes less for it.
	ReasonCounts() (Counters, error)
	// ReplicaCounts returns Counters.Replicas of the replicas of some services alone, in their order, and takes less for it. Those
	// of services and replicas that there are not are 0.
	ReplicaCounts(of []Service) ([][]Count, error)
	// FlowCounts does the same of Counters.Flows.
	FlowCounts(of []Service) ([][]FlowCount, error)
	// Flows returns, by service, what is recorded of flows: whether a replica can be removed without breaking any. It is of all
	// services, or of those that are named and that there are.
	Flows(of ...VIP) (map[VIP]Flows, error)
	// InTransition returns Flows.InTransition of one service without a pass over all that is recorded, 0 if there is no such service.
	InTransition(v VIP) (uint32, error)
	// FlowsOf returns the records of the flows of a client's address to one port of a service, by port of the client. It tries every
	// one, for records hold no addresses. Errors: ErrNotFound when there is no such service.
	FlowsOf(v VIP, client netip.Addr) ([]RecordedFlow, error)
	// NextHops returns how packets to the replicas of some services leave, in their order. Those of services and replicas that
	// there are not are the zero value.
	NextHops(of []Service) ([][]ReplicaHop, error)
	// Explain says what would happen to a packet that arrives now, by the live tables. It changes nothing.
	Explain(p Probe) (Explanation, error)
	// Monitor returns samples of the packets that come in from now on. There may be several monitors. While there is
	// one, every packet takes longer; without one there is no cost. Errors: ErrInvalid (Filter.Validate);
	// ErrNotFound when there is no such service (it may be removed and set again later); ErrUnsupported on a
	// kernel that cannot.
	Monitor(f Filter) (Monitor, error)

	// Condition says whether the kernel still has what was put there, and goes on with it without this process.
	Condition() (Condition, error)

	// Verify compares what is in the kernel with what was put there, and returns what others have changed. If it repairs it makes
	// that as it was. Not compared is what packets write: records of flows, counters, the use of rates. Changes may go on
	// meanwhile. A datapath does the same by itself now and then, and repairs.
	Verify(ctx context.Context, repair bool) (Verification, error)

	// Unfit returns which of some addresses no replica can have, and why, as far as the network is known: they are this host's
	// own, or stand for several hosts.
	Unfit(addresses []netip.Addr) (why map[netip.Addr]string, err error)

	// Events returns what happens in the network from the opening on, for one reader. Close closes the channel.
	Events() <-chan Event

	// Close releases the handle and ends its monitors. What is attached goes on forwarding.
	Close() error
}

// AttachMode is how a program is hooked to an interface.
type AttachMode string

const (
	// Auto is native where the driver can, else generic. Interface.Mode reports which.
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

// Condition is what others have done to a datapath and its network. The zero value: nothing, and forwarding outlives the process.
type Condition struct {
	// Faults say what is not as it was made and is not mended yet, each in a sentence.
	Faults []string
	// Drifts counts what others had changed since the opening, and Mended those of them that were mended.
	Drifts, Mended uint64
	// Unfit says of replicas' addresses why no packet can get there: see Dataplane.Unfit.
	Unfit map[netip.Addr]string
	// Ends says why forwarding ends with the process, "" if it goes on.
	Ends string
}

// Count is a number of packets and their bytes: with the Ethernet header, without checksum and preamble.
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
	// Flows holds what packets said of flows, by service and replica. Those of removed replicas are not kept.
	Flows map[VIP]map[netip.AddrPort]FlowCount
	// Losses are packets that were lost after their verdict, since the opening; LossesUnknown is why they cannot be
	// counted, "" if they are.
	Losses        []Loss
	LossesUnknown string
}

// FlowCount counts what packets said of the flows of a replica: see package oracle. Resets and refusals are known in mode NAT alone.
type FlowCount struct {
	// Begun are packets that begin a flow, and were given to the replica.
	Begun uint64
	// Resets are answers with RST. Refusals are those of them that answer a SYN.
	Resets, Refusals uint64
}

// Loss counts packets that were to leave by an interface and did not.
type Loss struct {
	// Interface is its name: the last known, or "index N".
	Interface string
	Cause     LossCause
	Packets   uint64
	// Error is that of the last of them, in the kernel's words, "" if it told none.
	Error string
}

// LossCause says where a packet was lost after its verdict. As reasons are, the causes are written in C, as enum loss_cause of
// bpf/src/losses.bpf.c, and a test compares these with them.
type LossCause string

const (
	// LostRedirect: the interface does not take it. It is down, gone, too narrow, or its driver sends no XDP frames.
	LostRedirect LossCause = "redirect"
	// LostTransmit: the driver does not send it. A ring is full, or a peer does not receive XDP frames.
	LostTransmit LossCause = "transmit"
	// LostTX: as LostTransmit, on the interface that it came in on.
	LostTX LossCause = "tx"
)

// LossCauses returns every cause, in the order of the enum in C.
func LossCauses() []LossCause { return []LossCause{LostRedirect, LostTransmit, LostTX} }

// Flows is what a datapath remembers of the flows of one service.
type Flows struct {
	// InTransition is the number of slots whose owner changed and whose flows from before may still be with
	// the previous owner; all slots after a change of their number or of the hash.
	InTransition uint32
	// Replicas holds every replica of the service.
	Replicas map[netip.AddrPort]ReplicaFlows
}

// ReplicaFlows is what is remembered of the flows of one replica.
type ReplicaFlows struct {
	// Established and HalfOpen count recorded flows; of a half-open one only the first packet has come. Those
	// that have ended, and were silent for EndedSteps steps of the idle time, do not count.
	Established, HalfOpen uint64
	// OldFlowSlots is the number of slots in transition whose flows from before the change go to the replica.
	// Slots in which no such flow was seen for the idle time do not count.
	OldFlowSlots uint32
}

// None reports whether the replica can be removed without breaking a flow, as far as is known. Flows of settled slots are not known.
func (f ReplicaFlows) None() bool { return f == ReplicaFlows{} }

// Probe is a packet to explain: a frame, or a flow of which a frame is made.
type Probe struct {
	// Ingress is the index of the interface that it comes in on, 0 for none in particular.
	Ingress int
	// Frame is the packet from its Ethernet header on; nil: one of Flow.
	Frame []byte
	// Flow and SYN describe a packet without payload and with a TTL of 64. SYN: the first of a TCP flow.
	Flow packet.Flow
	SYN  bool
}

// Choice says why a packet goes to its replica.
type Choice string

const (
	// ByOwner: the slot is settled and the replica owns it.
	ByOwner Choice = "owner"
	// ByRecord: the flow's record names the replica.
	ByRecord Choice = "recorded"
	// ByPreviousOwner: the slot is in transition and the flow has no record, so it is from before the change.
	ByPreviousOwner Choice = "previous_owner"
	// ByAssignment: the replica owns the slot, and the flow starts or its replica does not serve any more. The
	// slot is in transition, or every flow is recorded.
	ByAssignment Choice = "assigned"
)

// Record is the stage of a flow's record.
type Record string

const (
	// NoRecord: none.
	NoRecord Record = ""
	// HalfOpen: only the first packet of the flow has come.
	HalfOpen Record = "half_open"
	// Established: more packets have come.
	Established Record = "established"
)

// Explanation is what happens to one packet and why. Fields past the one that decided are zero.
type Explanation struct {
	Reason Reason
	// Flow is the flow that decides: the packet's, or the one that an ICMP error quotes, as
	// its sender sent it.
	Flow packet.Flow
	// Service is the service found, nil when the packet is not for a VIP.
	Service *Service
	// Hash is the 32-bit value; Slot = Hash mod TableSize.
	Hash uint32
	Slot uint32
	// Owner and PreviousOwner are those of the slot. The previous one matters only if the slot is InTransition.
	Owner, PreviousOwner netip.AddrPort
	InTransition         bool
	// Record and Recorded are the flow's record and the replica that it names, which may not serve any more.
	Record   Record
	Recorded netip.AddrPort
	// Replica is the one chosen, and Choice why.
	Replica netip.AddrPort
	Choice  Choice
	// Rewritten is the flow as the replica sees it, or as the client does.
	Rewritten packet.Flow
	// Outer is the ends of the outer packet in the mode ipip.
	Outer Tunnel
	// NextHop is how it leaves.
	NextHop NextHop
	// Before and After are the frame as it came and as it leaves or is passed; After is nil when it is dropped.
	Before, After []byte
}

// Tunnel is the two ends of an outer packet. The zero value is none. It has ports if there is UDP in it.
type Tunnel struct {
	Source, Destination         netip.Addr
	SourcePort, DestinationPort uint16
}

// NextHop is the layer-2 next hop towards a replica or client. The zero value is unresolved.
type NextHop struct {
	Interface   string
	Index       int
	Source      MAC
	Destination MAC
}

// MAC is an Ethernet address.
type MAC [6]byte
