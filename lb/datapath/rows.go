package datapath

import (
	"math"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"
)

// serviceRow returns the row of a settled service, without its numbers.
func serviceRow(s lb.Service) bpf.LbService {
	row := bpf.LbService{
		Vip: vipKey(s.VIP), Size: s.Slots(), Reciprocal: reciprocal(s.Slots()), TableSize: s.TableSize, Replicas: uint32(len(s.Replicas)),
		Seed: s.Seed, Scheduler: uint8(s.Scheduler), Mode: uint8(s.Mode), Hash: uint8(s.Hash),
		Flags: trackingFlags(s.Tracking), Idle: uint32(s.Idle / time.Second),
	}
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

// serviceOf is the reverse of serviceRow, but for the replicas.
func serviceOf(row bpf.LbService) lb.Service {
	return lb.Service{
		VIP: vipOf(row.Vip), Scheduler: lb.Scheduler(row.Scheduler), Mode: lb.Mode(row.Mode), Hash: lb.Hash(row.Hash),
		Seed: row.Seed, TableSize: row.TableSize, Tracking: trackingOf(row.Flags), Idle: time.Duration(row.Idle) * time.Second,
	}
}

// withoutPreviousTable returns the row of a service whose previous owners are in its own table.
func withoutPreviousTable(row bpf.LbService) bpf.LbService {
	row.Flags &^= uint8(bpf.LbServiceFlagSERVICE_REHASHED)
	row.PreviousOffset, row.PreviousSize, row.PreviousReciprocal = row.Offset, row.Size, row.Reciprocal
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
func replicaRow(v lb.VIP, service uint32, r lb.Replica, next nextHop) bpf.LbReplica {
	a := r.Address.Addr()
	row := bpf.LbReplica{
		Address: bpf.Address(a), Port: bpf.Port(r.Address.Port()), IpVersion: bpf.Endpoint(r.Address, 0).IpVersion,
		State: uint8(replicaState(r.State)), Service: service,
	}
	if a.Is4() == v.Address.Addr().Is4() {
		row.L3Delta, row.L4Delta = bpf.Deltas(v.Address, r.Address)
	}
	row.Hops[0], row.TunnelSource[0] = next.hop, next.source
	return row
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

// setState changes the state of a replica: what packets it is given.
func setState(row *bpf.LbReplica, s bpf.LbReplicaState) {
	changed := *row
	changed.State = uint8(s)
	storeWord(row, changed)
}

// flipHop writes a next hop into the hop that is not active and makes it the active one.
func flipHop(row *bpf.LbReplica, next nextHop) {
	changed := *row
	changed.ActiveHop = (row.ActiveHop & 1) ^ 1
	row.Hops[changed.ActiveHop], row.TunnelSource[changed.ActiveHop] = next.hop, next.source
	storeWord(row, changed)
}

// storeWord switches to the active hop and the state of a changed row by one aligned store of the
// word that holds them; the deltas in the same word never change.
func storeWord(row *bpf.LbReplica, changed bpf.LbReplica) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&row.L4Delta)), *(*uint32)(unsafe.Pointer(&changed.L4Delta)))
}

// hopInUse returns the active next hop of a replica.
func hopInUse(row *bpf.LbReplica) nextHop {
	return nextHop{hop: row.Hops[row.ActiveHop&1], source: row.TunnelSource[row.ActiveHop&1]}
}

// addressOf returns the address and port of a replica, the zero value of REPLICA_NONE.
func (t *tables) addressOf(id uint32) netip.AddrPort {
	if id == bpf.ReplicaNone {
		return netip.AddrPort{}
	}
	r := &t.replicas.rows[id]
	return bpf.AddrPort(r.Address, r.Port)
}
