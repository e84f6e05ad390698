package lb

import "net/netip"

// ReplicaHop is how packets to a replica leave now. The zero value: no route leads there.
type ReplicaHop struct {
	// NextHop has no Destination while the neighbour's MAC address is not known: packets go up to the kernel, which finds it.
	NextHop
	// Neighbour is the host that frames are sent to: the replica or a gateway.
	Neighbour netip.Addr
	// State is what the kernel knows of the neighbour, in the words of ip-neighbour(8): reachable, stale, failed, ...
	State NeighbourState
	// MTU is the greatest IP packet that goes there, in bytes.
	MTU int
}

// NeighbourState is a word of ip-neighbour(8). The empty one: the kernel has no entry.
type NeighbourState string

// The states of a neighbour.
const (
	NeighbourIncomplete NeighbourState = "incomplete"
	NeighbourReachable  NeighbourState = "reachable"
	NeighbourStale      NeighbourState = "stale"
	NeighbourDelay      NeighbourState = "delay"
	NeighbourProbe      NeighbourState = "probe"
	NeighbourFailed     NeighbourState = "failed"
	NeighbourNoARP      NeighbourState = "noarp"
	NeighbourPermanent  NeighbourState = "permanent"
)

// RecordedFlow is the record of a flow to a service.
type RecordedFlow struct {
	Client, Replica netip.AddrPort
	// Stage is HalfOpen or Established.
	Stage Record
	// ClosedByClient and ClosedByReplica: that end has closed it.
	ClosedByClient, ClosedByReplica bool
	// Age counts the steps, of which Idle has IdleSteps, in which no packet came.
	Age int
}
