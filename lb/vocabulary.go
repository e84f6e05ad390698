// Package lb is the vocabulary of the load balancer: services, replicas,
// schedulers, modes, reasons; what a valid service is; and the Dataplane
// interface that the kernel datapath and the in-memory one both implement.
//
// Nothing here touches the kernel. All types are plain values: safe to copy
// after validation, safe for concurrent reads.
package lb

import (
	"fmt"
	"net/netip"
	"time"

	"lbctl/rss/packet"
)

// VIP names a service on the wire: a virtual IP address, a port and a protocol.
type VIP struct {
	Address  netip.AddrPort
	Protocol packet.Protocol
}

// String returns "tcp 192.0.2.1:80".
func (v VIP) String() string { return fmt.Sprintf("%v %v", v.Protocol, v.Address) }

// Compare orders VIPs by address, port, protocol.
func (v VIP) Compare(w VIP) int {
	if c := v.Address.Compare(w.Address); c != 0 {
		return c
	}
	return int(v.Protocol) - int(w.Protocol)
}

// Scheduler says how the hash of a flow becomes a replica.
type Scheduler uint8

const (
	// Modulo sends a flow to replica h mod N: the table has one slot a replica.
	Modulo Scheduler = iota
	// Maglev looks h mod M up in a table of M slots (M prime) filled by the
	// permutations of Eisenbud et al., NSDI 2016, section 3.4.
	Maglev
)

// Mode says how a packet is brought to its replica.
type Mode uint8

const (
	// NAT rewrites the destination address and port, and the source of the answers.
	NAT Mode = iota
	// DSR rewrites the destination MAC address only: the replica, on the same link,
	// holds the VIP and answers the client directly.
	DSR
	// IPIP puts the packet into another one to the replica (RFC 2003, RFC 2473), which holds
	// the VIP, decapsulates it and answers the client directly: IPv4 in IPv4 or IPv6, IPv6 in IPv6.
	IPIP
)

// Tracking says which flows are recorded, so that they stay with their replica when the set of replicas changes.
type Tracking uint8

const (
	// Stateless records none: the table alone decides, and a change moves flows.
	Stateless Tracking = iota
	// TrackChanges records flows that start in slots in transition, until the flows from before the change are
	// gone. It needs a protocol that tells when a flow starts: TCP.
	TrackChanges
	// TrackAlways records every flow. In mode nat the records then say which packets of a replica are answers: it may
	// begin flows of its own, be reached directly, and be a replica of several services.
	TrackAlways
)

// ReplicaState says which flows go to a replica.
type ReplicaState uint8

const (
	// Active: new flows and the ones that it has.
	Active ReplicaState = iota
	// Draining: only the flows that it has.
	Draining
	// Down: none. Its flows go to others, and return when it serves again.
	Down
)

// Hash says which function of the 4-tuple chooses the slot.
type Hash uint8

const (
	// JHash is Bob Jenkins' lookup3 as in the kernel's include/linux/jhash.h,
	// over source address, destination address and ports, seeded.
	JHash Hash = iota
	// ToeplitzHash is the RSS hash over source address, destination address,
	// source port, destination port, with the datapath's RSS key.
	ToeplitzHash
)

// NoService says what becomes of packets to the address of a VIP, but to a port or a protocol of no service, if the kernel
// would forward them.
type NoService uint8

const (
	// DropNoService drops them.
	DropNoService NoService = iota
	// RejectNoService drops them and tells their senders, at a limited rate: by a reset of TCP, or an ICMP error.
	RejectNoService
)

// DefaultMaglevSize is the largest number of slots that a Maglev table has when the service
// names none: the "small" prime of the Maglev paper. See DefaultTableSize.
const DefaultMaglevSize = 65537

// Replica is one server behind a service.
type Replica struct {
	Address netip.AddrPort
	// Weight is the replica's share of a Maglev table, 1 to 65535, relative to
	// the others. Modulo has no weights: 1.
	Weight uint16
	State  ReplicaState
}

// Service is a VIP and the replicas behind it. Replica i of Modulo is the i-th that is
// Active: the order counts.
type Service struct {
	VIP VIP
	// EndPort is the last of the service's ports, of which its VIP has the first; 0: it has no other. A service with several
	// is not NAT. What another service has as its VIP is that one's.
	EndPort   uint16
	Scheduler Scheduler
	Mode      Mode
	Hash      Hash
	// Seed is the initial value of JHash; ToeplitzHash does not use it.
	Seed uint32
	// TableSize is the number of slots: for Maglev a prime, at least the number of
	// replicas; for Modulo always the number of replicas that are Active.
	TableSize uint32
	Tracking  Tracking
	// Idle is how long a flow may be silent and stays recorded: whole seconds from MinIdle to MaxIdle, 0 if and only
	// if Tracking is Stateless.
	Idle time.Duration
	// Encapsulation, TunnelPort and TunnelSources are of mode IPIP, and zero in the others. TunnelPort is the destination
	// port of GUE and FOU, 0 if and only if Encapsulation is Plain.
	Encapsulation Encapsulation
	TunnelPort    uint16
	// TunnelSources are the source addresses of outer packets; the flow chooses one. The zero value: the one that the
	// kernel would use towards the replica.
	TunnelSources netip.Prefix
	// SourceRanges are those that the service is for, each once; they may overlap. None: it is for all clients. The order
	// does not count, and a Dataplane returns them sorted.
	SourceRanges []netip.Prefix
	RateLimit    RateLimit
	// Replicas may be empty: then packets to the VIP are dropped as no_replica.
	Replicas []Replica
}

// MinIdle and MaxIdle bound Service.Idle.
const (
	MinIdle = 8 * time.Second
	MaxIdle = 24 * time.Hour
)

// IdleSteps is how finely idle time is measured: the age of a record goes up by one every Idle/IdleSteps, and the
// record is removed when it has not been used for so many whole steps.
const IdleSteps = 8

// StartingSteps is after how many steps a flow that has sent nothing but SYNs to a replica that drains is not taken
// for one that is starting any more.
const StartingSteps = 7

// EndedSteps is after how many steps of silence a flow that has ended does not count any more.
const EndedSteps = 2

// MaxFlows is the largest limit of flows: the kernel's verifier takes no larger table of records than 512 MiB.
const MaxFlows = 1 << 26

// Limits are the capacities of a datapath, fixed when its tables are made.
type Limits struct {
	// Services is the number of VIPs, 1 to 65536.
	Services uint32
	// Replicas is the number of replicas over all services, 1 to 1<<20.
	Replicas uint32
	// Slots is the number of slots over all services, 1 to 1<<27, 8 bytes each. To replace a table there must be
	// room for the old and the new one, and for the previous table of a rehashed service.
	Slots uint32
	// Flows is the number of established flows that can be recorded, a power of two from 1024 to MaxFlows, 8 bytes each.
	// There is room for a quarter as many half-open ones besides.
	Flows uint32
	// SourceRanges is the number of source ranges over all services, up to 1<<20, 64 bytes each. 0 is the default.
	SourceRanges uint32
}

// DefaultLimits hold 1,024 services, 16,384 replicas, 4,194,304 slots (32 MiB),
// 1,048,576 flows (10 MiB) and 16,384 source ranges (1 MiB).
var DefaultLimits = Limits{Services: 1 << 10, Replicas: 1 << 14, Slots: 1 << 22, Flows: 1 << 20, SourceRanges: 1 << 14}
