package datapath

import (
	"cmp"
	"encoding/binary"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/rss/packet"
)

// entry is a service as it stands in the kernel's tables.
type entry struct {
	service lb.Service
	row     bpf.LbService
	at      uint32                    // where the row is
	ids     map[netip.AddrPort]uint32 // replica ids

	// lag is the time since the ages of its flows went up.
	lag time.Duration
	// owners is the digest of its table's owners.
	owners uint64
	// inTransition is the number of its slots that are in transition.
	inTransition uint32
	// recorded reports whether there may be records of its flows.
	recorded bool
	// unrecorded are the replicas that may have flows without a record, for unrecordedFor.
	unrecorded    map[netip.AddrPort]bool
	unrecordedFor time.Duration
	// aging is set while a sweep makes its flows older.
	aging *aging
}

// inOrder returns services in the order of their rows: so what is near each other in the tables is mapped once.
func inOrder(services map[lb.VIP]*entry) []*entry {
	return slices.SortedFunc(maps.Values(services), func(a, b *entry) int { return cmp.Compare(a.at, b.at) })
}

func vipKey(v lb.VIP) bpf.LbEndpoint { return bpf.Endpoint(v.Address, uint8(v.Protocol)) }

func vipOf(k bpf.LbEndpoint) lb.VIP {
	return lb.VIP{Address: k.AddrPort(), Protocol: packet.Protocol(k.Protocol)}
}

// replicaKey is the endpoint that a replica's answers come from.
func replicaKey(v lb.VIP, a netip.AddrPort) bpf.LbEndpoint { return bpf.Endpoint(a, uint8(v.Protocol)) }

// replicaID returns the id of the replica at an address; a nil entry has none.
func (e *entry) replicaID(a netip.AddrPort) (uint32, bool) {
	if e == nil {
		return 0, false
	}
	id, ok := e.ids[a]
	return id, ok
}

// answered reports whether the replica at an address has a reverse NAT entry for the service. A nil entry has
// none.
func (e *entry) answered(a netip.AddrPort) bool {
	_, ok := e.replicaID(a)
	return ok && e.service.Mode == lb.NAT
}

// tracked reports whether the service tracks flows; a nil entry does not.
func (e *entry) tracked() bool {
	return e != nil && e.row.Flags&uint8(bpf.LbServiceFlagSERVICE_TRACK_CHANGES|bpf.LbServiceFlagSERVICE_TRACK_ALWAYS) != 0
}

// rehashed reports whether the previous owners are in another table.
func (e *entry) rehashed() bool { return e.row.Flags&uint8(bpf.LbServiceFlagSERVICE_REHASHED) != 0 }

// recordsByOtherHash reports whether records hold another hash than that of the table.
func (e *entry) recordsByOtherHash() bool {
	r := e.row
	return r.PreviousHash != r.Hash || r.PreviousSeed != r.Seed && lb.Hash(r.Hash) == lb.JHash
}

// ranges returns the ranges of slots that are the service's: its table and, if it is
// rehashed, the previous one.
func (e *entry) ranges() []tables.Extent {
	all := []tables.Extent{tables.ExtentOf(e.row.Offset, e.row.Size)}
	if e.rehashed() {
		all = append(all, e.previousSlots())
	}
	return all
}

// previousSlots returns the slots in which the previous owners are.
func (e *entry) previousSlots() tables.Extent {
	return tables.ExtentOf(e.row.PreviousOffset, e.row.PreviousSize)
}

// firstReplica is the least id of its replicas: from that on the owners of its slots count.
func (e *entry) firstReplica() uint32 {
	if len(e.ids) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Values(e.ids)))
}

// previousCountFrom is from which id on the owners of previousSlots count: the table of another row has none that are read.
func (e *entry) previousCountFrom() uint32 {
	if e.rehashed() {
		return bpf.ReplicaNone
	}
	return e.row.FirstReplica
}

// listOf returns the rows of slots in which its replicas are listed.
func (e *entry) listOf() tables.Extent { return tables.ExtentOf(e.row.List, e.row.Replicas) }

// sourceRanges returns the rows of its source ranges.
func (e *entry) sourceRanges() tables.Extent {
	return tables.ExtentOf(e.row.FirstRange, e.row.AllRanges)
}

// serviceRow returns the row of a settled service, without its numbers.
func serviceRow(s lb.Service) bpf.LbService {
	row := bpf.LbService{
		Vip: vipKey(s.VIP), EndPort: bpf.Port(s.EndPort), Size: s.Slots(), Reciprocal: reciprocal(s.Slots()), TableSize: s.TableSize, Replicas: uint32(len(s.Replicas)),
		Seed: s.Seed, Scheduler: uint8(s.Scheduler), Mode: uint8(s.Mode), Hash: uint8(s.Hash),
		Flags: trackingFlags(s.Tracking), Idle: uint32(s.Idle / time.Second),
	}
	setTunnel(&row, s)
	setLimits(&row, s)
	return withoutPreviousTable(row)
}

// trackingFlags returns which flows of a service are recorded.
func trackingFlags(t lb.Tracking) uint8 {
	switch t {
	case lb.TrackChanges:
		return uint8(bpf.LbServiceFlagSERVICE_TRACK_CHANGES)
	case lb.TrackAlways:
		return uint8(bpf.LbServiceFlagSERVICE_TRACK_ALWAYS)
	}
	return 0
}

// trackingOf is the reverse of trackingFlags.
func trackingOf(flags uint8) lb.Tracking {
	switch {
	case flags&uint8(bpf.LbServiceFlagSERVICE_TRACK_ALWAYS) != 0:
		return lb.TrackAlways
	case flags&uint8(bpf.LbServiceFlagSERVICE_TRACK_CHANGES) != 0:
		return lb.TrackChanges
	}
	return lb.Stateless
}

// serviceOf is the reverse of serviceRow, but for the replicas and the source ranges.
func serviceOf(row bpf.LbService) lb.Service {
	return lb.Service{
		VIP: vipOf(row.Vip), EndPort: binary.BigEndian.Uint16(row.EndPort[:]), Scheduler: lb.Scheduler(row.Scheduler), Mode: lb.Mode(row.Mode), Hash: lb.Hash(row.Hash),
		Seed: row.Seed, TableSize: row.TableSize, Tracking: trackingOf(row.Flags), Idle: time.Duration(row.Idle) * time.Second,
		Encapsulation: lb.Encapsulation(row.Encapsulation), TunnelPort: binary.BigEndian.Uint16(row.TunnelPort[:]),
		TunnelSources: bpf.SourceRange(row.FirstSource, row.Sources, row.SourceBits),
		RateLimit:     lb.RateLimit{Packets: row.PacketRate, NewFlows: row.FlowRate, Burst: time.Duration(row.Burst) * time.Millisecond},
	}
}

// setTunnel writes how outer packets differ by flow.
func setTunnel(row *bpf.LbService, s lb.Service) {
	row.Encapsulation, row.TunnelPort = uint8(s.Encapsulation), bpf.Port(s.TunnelPort)
	if s.Encapsulation != lb.Plain {
		row.UdpBytes = 8
		row.Flags |= uint8(bpf.LbServiceFlagSERVICE_SPREADS)
	}
	if s.TunnelSources.IsValid() {
		row.FirstSource, row.Sources, row.SourceBits = bpf.Sources(s.TunnelSources)
		row.Flags |= uint8(bpf.LbServiceFlagSERVICE_SPREADS)
	}
}

// setLimits writes for which clients a service is, but for the place of the ranges, and how much of it there may be.
func setLimits(row *bpf.LbService, s lb.Service) {
	if len(s.SourceRanges) > 0 {
		row.Flags |= uint8(bpf.LbServiceFlagSERVICE_RANGES)
		_, row.Ranges = rangeRows(s)
		row.AllRanges = uint32(len(s.SourceRanges))
	}
	if s.RateLimit != (lb.RateLimit{}) {
		row.Flags |= uint8(bpf.LbServiceFlagSERVICE_RATES)
		row.PacketRate, row.FlowRate, row.Burst = s.RateLimit.Packets, s.RateLimit.NewFlows, uint16(s.RateLimit.Burst/time.Millisecond)
	}
}

// rangeRows returns the rows of the source ranges of a service, and how many of them packets look at.
func rangeRows(s lb.Service) ([]bpf.LbSourceRange, uint32) {
	return tables.RangeRows(s.SourceRanges, s.VIP.Address.Addr().Is4())
}

// withoutPreviousTable returns the row of a service whose previous owners are in its own table.
func withoutPreviousTable(row bpf.LbService) bpf.LbService {
	row.Flags &^= uint8(bpf.LbServiceFlagSERVICE_REHASHED)
	row.PreviousOffset, row.PreviousSize = row.Offset, row.Size
	row.PreviousHash, row.PreviousSeed = row.Hash, row.Seed
	return row
}

// reciprocal returns what the program divides by a size with: see remainder of bpf/src/hash.h.
func reciprocal(size uint32) uint32 {
	if size == 0 {
		return 0
	}
	return uint32(min(1<<32/uint64(size), math.MaxUint32))
}

// replicaRow returns the row of a new replica of the service with this id.
func replicaRow(v lb.VIP, service uint32, r lb.Replica, next tables.Hop) bpf.LbReplica {
	a := r.Address.Addr()
	row := bpf.LbReplica{
		Address: bpf.Address(a), Port: bpf.Port(r.Address.Port()), IpVersion: bpf.Endpoint(r.Address, 0).IpVersion,
		State: uint8(replicaState(r.State)), Service: service,
	}
	if a.Is4() == v.Address.Addr().Is4() {
		row.L3Delta, row.L4Delta = bpf.Deltas(v.Address, r.Address)
	}
	row.Hops[0], row.TunnelSource[0] = next.LbHop, next.Tunnel
	return row
}

// revNatRow returns the reverse NAT entry of a VIP's replica by which each packet is an answer.
func revNatRow(v lb.VIP, a netip.AddrPort) bpf.LbRevNat {
	l3, l4 := bpf.Deltas(a, v.Address)
	return bpf.LbRevNat{
		Replica: replicaKey(v, a), L3Delta: l3, L4Delta: l4,
		Address: bpf.Address(v.Address.Addr()), Port: bpf.Port(v.Address.Port()),
	}
}

// replicaState returns a state as the tables have it.
func replicaState(s lb.ReplicaState) bpf.LbReplicaState {
	switch s {
	case lb.Active:
		return bpf.LbReplicaStateREPLICA_ACTIVE
	case lb.Draining:
		return bpf.LbReplicaStateREPLICA_DRAINING
	}
	return bpf.LbReplicaStateREPLICA_DOWN
}
