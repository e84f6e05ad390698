package oracle

import (
	"net/netip"
	"time"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// View is the tables of a datapath as Decide reads them: those of a Datapath, or the kernel's. They do not
// change while Decide runs.
type View interface {
	// Key is the RSS key of lb.ToeplitzHash.
	Key() rss.Key
	// Rejects reports whether packets to the address of a VIP that no service takes are answered. How many are is not
	// limited here.
	Rejects() bool
	// Service returns the service to which packets with that destination go: the one with that VIP or, if there is none, the
	// one of whose ports it is one. The caller does not write to it.
	Service(v lb.VIP) (*lb.Service, bool)
	// IsVIP reports whether a service has the address, on any port and protocol.
	IsVIP(a netip.Addr) bool
	// ReverseNAT returns the services in mode nat that have a replica, in whatever state. If there are several, each
	// records every flow.
	ReverseNAT(replica netip.AddrPort, p packet.Protocol) []Owner

	// Slot returns one slot of a service with an active replica; i is below TableSize.
	Slot(v lb.VIP, i uint32) Slot
	// PreviousTable returns the function of the previous table of a rehashed service, false if the service
	// is not rehashed. Size is 0 if there was no table.
	PreviousTable(v lb.VIP) (Function, bool)
	// PreviousOwner returns an owner in the previous table of a rehashed service, the zero value if that is
	// not listed any more; i is below the Size of PreviousTable.
	PreviousOwner(v lb.VIP, i uint32) netip.AddrPort

	// Record returns the record of a flow to a service. A record of a replica that is not listed any more is
	// none.
	Record(v lb.VIP, f packet.Flow) (Record, bool)
	// Displaced reports whether a flow without a record may have had one, whose place others took: there is no room.
	Displaced(f packet.Flow) bool
	// Rates reports whether another packet may go to the replicas of a service now, and another flow begin, as far as these
	// are limited.
	Rates(v lb.VIP) (packet, flow bool)
	// State returns the state of a replica of a service, false if it is not listed.
	State(v lb.VIP, replica netip.AddrPort) (lb.ReplicaState, bool)
	// Fragment returns what the first fragment of a packet told.
	Fragment(k FragmentKey) (FragmentPorts, bool)

	// LinkMTU returns the greatest IP packet of an interface in bytes, 0 if it is not known.
	LinkMTU(index int) int
	// PathMTU returns the greatest packet on the way to a replica that a router has told of in the last PathMTULife, 0
	// if none has.
	PathMTU(v lb.VIP, replica netip.AddrPort) int
	// RouteToReplica returns the route to a replica of a service, false if there is none.
	RouteToReplica(v lb.VIP, replica netip.AddrPort) (Route, bool)
	// RouteToClient returns the route of a packet that is not to a replica, false if none leads away from this
	// host: to its own addresses, or because there is none.
	RouteToClient(source, destination netip.Addr) (Route, bool)
}

// Owner is a service in mode nat that has a replica.
type Owner struct {
	VIP lb.VIP
	// ByRecord: it has recorded every flow to the replica for so long that a packet without a record is no answer.
	ByRecord bool
}

// Slot is the owners of a part of the hash space. They are the same if it is not in transition.
type Slot struct {
	Owner netip.AddrPort
	// Previous has the flows from before the change that have no record; the zero value if it is not
	// listed any more.
	Previous     netip.AddrPort
	InTransition bool
}

// Function is how a flow becomes a slot: its hash modulo Size.
type Function struct {
	Hash lb.Hash
	// Seed is that of lb.JHash.
	Seed uint32
	Size uint32
}

// of returns the hash of a flow.
func (n Function) of(key rss.Key, f packet.Flow) uint32 {
	return Hash(lb.Service{Hash: n.Hash, Seed: n.Seed}, key, f)
}

// sameHash reports whether all flows have the same hash in both, whatever the sizes.
func (n Function) sameHash(m Function) bool {
	return n.Hash == m.Hash && (n.Hash != lb.JHash || n.Seed == m.Seed)
}

// functionOf returns that of a service's table, of Size 0 when there is none.
func functionOf(s lb.Service) Function {
	return Function{Hash: s.Hash, Seed: s.Seed, Size: s.Slots()}
}

// Record is what is recorded of a flow.
type Record struct {
	// Stage is lb.HalfOpen or lb.Established.
	Stage   lb.Record
	Replica netip.AddrPort
	// Closed says which ends have closed the flow.
	Closed Closed
	Age    Age
}

// Age counts the steps of time in which something was not used. The first step may come right after the
// last use, so only what is expired has not been used for a whole idle time.
type Age uint8

// Closed is a set of ends of a flow.
type Closed uint8

const (
	ByClient Closed = 1 << iota
	ByReplica
	// ByBoth: the flow has ended.
	ByBoth = ByClient | ByReplica
)

// FragmentKey is what all fragments of a packet have in common (RFC 791, RFC 8200, section 4.5). The
// IP version is that of the addresses.
type FragmentKey struct {
	Source, Destination netip.Addr
	// ID has 16 bits in IPv4 and 32 in IPv6.
	ID uint32
	// Protocol is that of the header in IPv4; in IPv6, where later fragments may name another
	// header first, 0.
	Protocol packet.Protocol
}

// FragmentPorts is what only the first fragment of a packet carries.
type FragmentPorts struct {
	Protocol            packet.Protocol
	Source, Destination uint16
}

// PathMTULife is how long a path MTU is believed that a router told of, as long as the kernel does
// (net.ipv4.route.mtu_expires).
const PathMTULife = 10 * time.Minute

// Routes finds routes. It is safe for concurrent use and does not change while a frame is processed.
type Routes interface {
	// Route returns the route to an address, false when there is none.
	Route(destination netip.Addr) (Route, bool)
}

// Route is the route to an address.
type Route struct {
	// Interface is the name of the interface to leave by, Index its number.
	Interface string
	Index     int
	// MTU is the greatest IP packet of the interface in bytes.
	MTU int
	// Source is the interface's address.
	Source lb.MAC
	// Neighbour is the next hop's address; the zero value when it is not known.
	Neighbour lb.MAC
	// Refuses: packets that take the route are dropped, for its type is unreachable, prohibit or blackhole. Nothing
	// else of it is set.
	Refuses bool
	// Preferred is our address that the kernel would use as the source: the source of tunnels.
	Preferred netip.Addr
}

// resolved reports whether the neighbour is known.
func (r Route) resolved() bool { return r.Neighbour != lb.MAC{} }

// nextHop returns the route as lb has it: without a neighbour it is unresolved.
func (r Route) nextHop() lb.NextHop {
	if !r.resolved() {
		return lb.NextHop{}
	}
	return lb.NextHop{Interface: r.Interface, Index: r.Index, Source: r.Source, Destination: r.Neighbour}
}

// nowhere has no routes.
type nowhere struct{}

func (nowhere) Route(netip.Addr) (Route, bool) { return Route{}, false }
