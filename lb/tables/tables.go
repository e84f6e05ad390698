// Package tables holds the memory-mapped tables by which packets are forwarded, and the means to change them
// while packets read them: rows and indexes (Tables, Index), free ranges (Extents, Numbers), and grace periods
// (Grace). It knows the layout of the rows, not what a service is.
//
// The rule of every change: what is pointed at is written before what points at it; one aligned store makes the
// switch; what nothing points at any more is reused after a grace period, when no packet can still read it.
//
// Nothing here locks. The owner of the tables reads and changes them under its lock, since to read a row may map it, and lets go
// of what is mapped before it unlocks (Trim, Release); packets, and other programs' packets, change
// slots and records at any time, so those are read and swapped atomically.
package tables

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
)

// Tables are the arrays of bpf/src/maps.h. The zero value has no rows.
type Tables struct {
	Services Table[bpf.LbService]
	// Slots are those of all services. Behind them stand the lists of replicas.
	Slots Table[bpf.LbSlot]
	// Owners are those of settled slots, once more and short; former tables have none.
	Owners   Table[bpf.LbOwners]
	Replicas Table[bpf.LbReplica]
	// Short is what most packets read of replicas.
	Short   ShortReplicas
	RevNats Table[bpf.LbRevNat]
	// RetiredCounts is, by the id of a service, what was counted of removed replicas.
	RetiredCounts Table[bpf.LbCount]
	// Established and HalfOpen are the records of flows: see Records.
	Established, HalfOpen Table[bpf.LbRecords]
	// SourceRanges are those of all services, and RateStates what is used up of their rates, by id. Packets write the latter.
	SourceRanges Table[bpf.LbSourceRange]
	RateStates   Table[bpf.LbRateState]
	// FIBCache is the routes to clients that CPUs keep. Packets write it.
	FIBCache Table[bpf.LbFibEntry]

	// Steps are where all of these are stored to, but for what packets store and for the epoch of the FIB cache.
	Steps Steps

	serviceIndex, revNatIndex Table[bpf.LbBucket]
	settings                  Table[bpf.LbSetting]

	// memories are those of all of them but the FIB cache, which has another owner.
	memories []*memory
}

// Map maps the tables of a loaded program, and invalidates the FIB cache. Tables that are opened without a program have
// none. After an error the caller unmaps.
func (t *Tables) Map(m *bpf.LbMaps) error {
	var errs [16]error
	t.serviceIndex, errs[0] = mapped[bpf.LbBucket](t, m.ServiceIndex)
	t.revNatIndex, errs[1] = mapped[bpf.LbBucket](t, m.RevNatIndex)
	t.Services, errs[2] = mapped[bpf.LbService](t, m.Services)
	t.Slots, errs[3] = mapped[bpf.LbSlot](t, m.Slots)
	t.Replicas, errs[4] = mapped[bpf.LbReplica](t, m.Replicas)
	t.RevNats, errs[5] = mapped[bpf.LbRevNat](t, m.RevNats)
	t.Established, errs[6] = mapped[bpf.LbRecords](t, m.Established)
	t.HalfOpen, errs[7] = mapped[bpf.LbRecords](t, m.HalfOpen)
	t.RetiredCounts, errs[8] = mapped[bpf.LbCount](t, m.RetiredCounts)
	t.settings, errs[9] = mapped[bpf.LbSetting](t, m.Settings)
	if m.SourceRanges != nil { // former tables had none
		t.SourceRanges, errs[11] = mapped[bpf.LbSourceRange](t, m.SourceRanges)
		t.RateStates, errs[12] = mapped[bpf.LbRateState](t, m.RateStates)
	}
	if m.SlotOwners != nil {
		t.Owners, errs[13] = mapped[bpf.LbOwners](t, m.SlotOwners)
	}
	if m.ShortReplicas != nil {
		t.Short.Words, errs[14] = mapped[bpf.LbShortReplica](t, m.ShortReplicas)
		t.Short.Hops, errs[15] = mapped[bpf.LbSharedHop](t, m.SharedHops)
		t.Short.open()
	}
	if m.FibCache != nil {
		t.FIBCache, errs[10] = Map[bpf.LbFibEntry](m.FibCache)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	t.InvalidateFIBCache() // empty lines are from epoch 0
	return nil
}

// mapped maps a table whose stores are steps.
func mapped[T any](t *Tables, m *ebpf.Map) (Table[T], error) {
	table, err := Map[T](m)
	table.steps = &t.Steps
	if err == nil {
		t.memories = append(t.memories, table.memory)
	}
	return table, err
}

// Unmap removes all mappings.
func (t *Tables) Unmap() error {
	errs := []error{t.FIBCache.Unmap()}
	for _, m := range t.memories {
		errs = append(errs, m.end())
	}
	*t = Tables{Steps: t.Steps}
	return errors.Join(errs...)
}

// keptBytes is how much stays mapped between changes that follow each other, besides the first windows.
const keptBytes = 16 << 20

// Trim is Release if more is mapped than is worth keeping for the next change.
func (t *Tables) Trim() {
	bytes := 0
	for _, m := range t.memories {
		bytes += m.bytes()
	}
	if bytes > keptBytes {
		t.Release()
	}
}

// Release unmaps what need not be mapped, but for the FIB cache. Pointers to rows are void after it.
func (t *Tables) Release() {
	for _, m := range t.memories {
		m.release()
	}
}

// ServiceIndex finds the rows of services, and of the addresses of VIPs.
func (t *Tables) ServiceIndex() Index { return Index{&t.serviceIndex, &t.Steps} }

// RevNatIndex finds the reverse NAT entries of replicas.
func (t *Tables) RevNatIndex() Index { return Index{&t.revNatIndex, &t.Steps} }

// InvalidateFIBCache makes all entries of the FIB cache void. It may be called without a lock.
func (t *Tables) InvalidateFIBCache() { atomic.AddUint32(&t.settings.Row(0).Epoch, 1) }

// Setting returns the row of the settings.
func (t *Tables) Setting() bpf.LbSetting {
	row := *t.settings.Row(0)
	row.Epoch = 0 // anybody may count it up
	return row
}

// Configure writes the settings, but for the epoch.
func (t *Tables) Configure(s bpf.LbSetting) {
	s.Epoch = atomic.LoadUint32(&t.settings.Row(0).Epoch)
	t.settings.Put(0, s)
}

// AddressOf returns the address and port of a replica, the zero value for bpf.ReplicaNone.
func (t *Tables) AddressOf(replica uint32) netip.AddrPort {
	if replica == bpf.ReplicaNone {
		return netip.AddrPort{}
	}
	r := t.Replicas.Row(replica)
	return bpf.AddrPort(r.Address, r.Port)
}

// Hop is how packets reach an address: the next hop, and our address towards it. The zero value is no route.
type Hop struct {
	bpf.LbHop
	// Tunnel is the source address of the outer header in mode ipip.
	Tunnel [16]byte
}

// Hop returns the active next hop of a replica.
func (t *Tables) Hop(replica uint32) Hop {
	row := t.Replicas.Row(replica)
	return Hop{row.Hops[row.ActiveHop&1], row.TunnelSource[row.ActiveHop&1]}
}

// FlipHop gives a replica another next hop: it writes the one that is not active, then one store makes that active.
// No packet may be reading the one that is not active: after the flip before, a grace period has passed.
func (t *Tables) FlipHop(replica uint32, next Hop) {
	row := t.Replicas.Row(replica)
	changed := *row
	changed.ActiveHop = (row.ActiveHop & 1) ^ 1
	put(&t.Steps, &row.Hops[changed.ActiveHop], next.LbHop)
	put(&t.Steps, &row.TunnelSource[changed.ActiveHop], next.Tunnel)
	t.storeWord(row, changed)
	t.ShortenReplica(replica)
}

// SetState writes the state of a replica, unless it has it.
func (t *Tables) SetState(replica uint32, s bpf.LbReplicaState) {
	row := t.Replicas.Row(replica)
	if row.State == uint8(s) {
		return
	}
	changed := *row
	changed.State = uint8(s)
	t.storeWord(row, changed)
	t.ShortenReplica(replica)
}

// SetRevNat writes what is different in a reverse NAT entry: how its answers are told, which is one word.
func (t *Tables) SetRevNat(id uint32, changed bpf.LbRevNat) {
	is, to := (*uint64)(unsafe.Pointer(&changed.Port)), (*uint64)(unsafe.Pointer(&t.RevNats.Row(id).Port))
	if *to != *is {
		t.Steps.store64(to, *is)
	}
}

// storeWord switches to the active hop and the state of a changed row by one aligned store of the
// word that holds them; the deltas in the same word never change.
func (t *Tables) storeWord(row *bpf.LbReplica, changed bpf.LbReplica) {
	t.Steps.store32((*uint32)(unsafe.Pointer(&row.L4Delta)), *(*uint32)(unsafe.Pointer(&changed.L4Delta)))
}

// Numbers are the ids and ranges of all tables that are free.
type Numbers struct {
	Services, Rows, Replicas Extents
	// Slots are ranges of the slots, Lists those of the lists of replicas, counted from the first slot behind the slots.
	Slots, Lists Extents
	// Ranges are ranges of the source ranges.
	Ranges Extents
}

// NewNumbers returns those of empty tables.
func NewNumbers(l lb.Limits) Numbers {
	return Numbers{
		Services: NewExtents(l.Services), Rows: NewExtents(RowsFor(l)), Replicas: NewExtents(l.Replicas),
		Slots: NewExtents(l.Slots), Lists: NewExtents(ListsFor(l)),
		Ranges: NewExtents(RangesFor(l)),
	}
}

// RowsFor is the number of rows of services: one for each, one for what takes its place, one for its address.
func RowsFor(l lb.Limits) uint32 { return 3 * l.Services }

// OwnersFor is the number of lines of owners of slots.
func OwnersFor(l lb.Limits) uint32 { return (l.Slots + bpf.OwnersLine - 1) / bpf.OwnersLine }

// ListsFor is the number of rows of the lists of replicas: the old ones and the new ones.
func ListsFor(l lb.Limits) uint32 { return 2 * l.Replicas }
