package datapath

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/scheduler"
	"lbctl/lb/tables"
)

// verifier compares the rows in the tables with those that the registry has written and, if it repairs, rewrites those that
// others have changed. A packet that reads one meanwhile may see a part of both. What packets write is theirs: records, counters,
// the ages of slots, path MTUs.
type verifier struct {
	*registry
	schema bpf.LbSetting
	repair bool
	// pause is called between parts, each of which compares what belongs together. Services may change meanwhile.
	pause func() error
	// unsound: something is visible by an index that must not be, or is not and must be.
	unsound bool
	lb.Verification
}

// tables compares all tables. Errors: those of pause.
func (v *verifier) tables() error {
	v.settings()
	for _, was := range inOrder(v.services) {
		if e := v.services[was.service.VIP]; e != nil { // else it was removed meanwhile
			v.service(e)
		}
		if err := v.pause(); err != nil {
			return err
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(v.addresses), v.byRow) {
		v.address(a)
		if err := v.pause(); err != nil {
			return err
		}
	}
	if err := v.sharedHops(); err != nil {
		return err
	}
	if err := v.strangers(); err != nil {
		return err
	}
	return v.indexes()
}

// byRow orders addresses as inOrder does services.
func (v *verifier) byRow(a, b netip.Addr) int {
	return cmp.Compare(v.addresses[a].At, v.addresses[b].At)
}

// same compares one row, and rewrites it.
func same[T comparable](v *verifier, table string, t *tables.Table[T], at uint32, want T, key func() string) {
	have := *t.Row(at)
	if have == want {
		return
	}
	if v.repair {
		t.Put(at, want)
	}
	wanted, had := tables.Differences(want, have)
	v.Add(lb.Drift{Table: table, Key: key(), Want: wanted, Have: had, Repaired: v.repair})
}

func (v *verifier) settings() {
	have, want := v.registry.tables.Setting(), v.schema
	if want == (bpf.LbSetting{}) { // while tables are adopted nothing is known of them
		return
	}
	if want.Ranged = tables.Ranged(v.hasRanges()); have == want {
		return
	}
	wanted, had := tables.Differences(bpf.LbSetting{Schema: want.Schema, Ranged: want.Ranged}, bpf.LbSetting{Schema: have.Schema, Ranged: have.Ranged})
	if have.Secret != v.schema.Secret { // which is nobody's business
		wanted, had = wanted+" our secret", had+" another secret"
	}
	if v.repair {
		v.registry.tables.Configure(want)
		v.registry.tables.InvalidateFIBCache()
	}
	v.Add(lb.Drift{Table: bpf.LbMapSettings, Key: "the only row", Want: wanted, Have: had, Repaired: v.repair})
}

func (v *verifier) service(e *entry) {
	t, vip := v.registry.tables, e.service.VIP
	same(v, bpf.LbMapServices, &t.Services, e.at, e.row, vip.String)
	v.unsound = v.unsound || !t.ServiceIndex().Has(e.row.Vip, e.at)
	for at, row := range v.listRows(e) {
		same(v, bpf.LbMapSlots, &t.Slots, e.row.List+uint32(at), row, func() string { return fmt.Sprintf("replica %d in the list of %v", at, vip) })
	}
	ranges, _ := rangeRows(e.service)
	for at, row := range ranges {
		same(v, bpf.LbMapSourceRanges, &t.SourceRanges, e.row.FirstRange+uint32(at), row, func() string { return fmt.Sprintf("source range %d of %v", at, vip) })
	}
	found := v.Found
	if v.owners(e); v.Found == found || v.repair { // else they are compared with what is wrong itself
		v.shortOwners(e)
	}
	v.previousOwners(e)
	for _, r := range e.service.Replicas {
		id := e.ids[r.Address]
		key := func() string { return fmt.Sprintf("%v of %v", r.Address, vip) }
		v.replica(e, r, id, key)
		if e.service.Mode == lb.NAT {
			row := v.revNatRow(e, r.Address)
			same(v, bpf.LbMapRevNats, &t.RevNats, id, row, key)
			v.unsound = v.unsound || !t.RevNatIndex().Has(row.Replica, id)
		}
	}
}

// replica compares the row of a replica. Its next hop is the one that was written last.
func (v *verifier) replica(e *entry, r lb.Replica, id uint32, key func() string) {
	last := v.hops.lastOf(id)
	next := last.next
	if !last.known {
		next = v.registry.tables.Hop(id)
	}
	if told := &v.registry.tables.Replicas.Row(id).PathMtu; v.repair {
		if word := atomic.LoadUint64(told); word != 0 && believed(word) == 0 {
			atomic.CompareAndSwapUint64(told, word, 0) // else packets look at the row for ever
		}
	}
	is := *v.registry.tables.Replicas.Row(id)
	want := replicaRow(e.service.VIP, e.row.Id, r, next)
	if is.ActiveHop == 1 {
		want.ActiveHop, want.Hops[1], want.TunnelSource[1] = 1, next.LbHop, next.Tunnel
	}
	inactive := 1 - want.ActiveHop
	want.Hops[inactive], want.TunnelSource[inactive] = is.Hops[inactive], is.TunnelSource[inactive]
	want.PathMtu = is.PathMtu // packets write it
	if is == want {
		v.shortReplica(id, key)
		return
	}
	wanted, had := tables.Differences(want, is)
	want.PathMtu = 0 // who has written the row may have written that
	if v.repair {
		v.registry.tables.Replicas.Put(id, want)
		v.registry.tables.ShortenReplica(id)
	}
	v.Add(lb.Drift{Table: bpf.LbMapReplicas, Key: key(), Want: wanted, Have: had, Repaired: v.repair})
}

// shortReplica compares what packets read before the row of a replica. Where that says no hop they look at the row.
func (v *verifier) shortReplica(id uint32, key func() string) {
	word, known := v.registry.tables.Short.Word(id)
	if !known {
		return
	}
	want := v.registry.tables.InShort(id)
	if word == want && word.Hop != 0 {
		return
	}
	if v.repair {
		v.registry.tables.ShortenReplica(id)
	}
	if word.Hop == 0 {
		return
	}
	wanted, had := tables.Differences(want, word)
	v.Add(lb.Drift{Table: bpf.LbMapShortReplicas, Key: key(), Want: wanted, Have: had, Repaired: v.repair})
}

// sharedHops compares the next hops that replicas share.
func (v *verifier) sharedHops() error {
	v.registry.tables.Short.InUse(func(row uint32, is bpf.LbSharedHop, users int) {
		same(v, bpf.LbMapSharedHops, &v.registry.tables.Short.Hops, row, is, func() string { return fmt.Sprintf("row %d, of %d replicas", row, users) })
	})
	return v.pause()
}

// owners compares the slots of a service, if their digest is another one.
func (v *verifier) owners(e *entry) {
	if v.digest(e) == e.owners {
		return
	}
	found, settled := v.Found, e.inTransition == 0
	inTransition := uint32(0)
	for i, replica := range scheduler.Build(e.service) {
		at, want := e.row.Offset+uint32(i), e.ids[e.service.Replicas[replica].Address]
		v.slot(e, at, e.row.FirstReplica, func(s bpf.Slot) (bpf.Slot, bool) {
			return bpf.SettledSlot(want), s.Owner() == want && (s.InTransition() && !settled || s.WithAge(0) == bpf.SettledSlot(want))
		})
		if v.registry.tables.Slot(at).InTransition() {
			inTransition++
		}
	}
	if v.Found == found && inTransition != e.inTransition { // what was in transition has to be believed
		v.Add(lb.Drift{Table: bpf.LbMapSlots, Key: e.service.VIP.String(), Want: fmt.Sprintf("%d in transition", e.inTransition),
			Have: fmt.Sprintf("%d in transition", inTransition), Repaired: v.repair})
	}
	if v.repair {
		e.inTransition, e.owners = inTransition, v.digest(e)
	}
}

// shortOwners compares what packets read before the slots. Where that says no owner they look at the slot: a process may have
// ended before it wrote one.
func (v *verifier) shortOwners(e *entry) {
	for at := e.row.Offset; at < e.row.Offset+e.row.Size; at++ {
		is, known := v.registry.tables.ShortOwner(at)
		s := v.registry.tables.Slot(at)
		if !known || is == s.ShortOwner(e.row.FirstReplica) {
			continue
		}
		if v.repair {
			v.registry.tables.ShortenSlot(at, e.row.FirstReplica)
		}
		if is != bpf.OwnerElsewhere {
			v.Add(lb.Drift{
				Table: bpf.LbMapSlotOwners, Key: fmt.Sprintf("slot %d of %v", at-e.row.Offset, e.service.VIP),
				Want: v.slotName(s), Have: v.replicaName(e.row.FirstReplica + uint32(is)), Repaired: v.repair,
			})
		}
	}
}

// previousOwners compares the previous owners of a service: only its own replicas can be, or none.
func (v *verifier) previousOwners(e *entry) {
	if !e.rehashed() && e.inTransition == 0 {
		return
	}
	own := list(slices.Collect(maps.Values(e.ids)))
	for at := e.previousSlots().From; at < e.previousSlots().To; at++ {
		v.slot(e, at, e.previousCountFrom(), func(s bpf.Slot) (bpf.Slot, bool) {
			p := s.Previous()
			return s.WithPrevious(bpf.ReplicaNone), p == bpf.ReplicaNone || own.has(p)
		})
	}
}

// slotTries is how often a slot is written that others change at the same time: packets do now and then, somebody else may all the time.
const slotTries = 3

// slot compares a slot with what it may be, and writes what it must be.
func (v *verifier) slot(e *entry, at, countFrom uint32, judge func(bpf.Slot) (want bpf.Slot, right bool)) {
	s := v.registry.tables.Slot(at)
	want, right := judge(s)
	if right {
		return
	}
	d := lb.Drift{Table: bpf.LbMapSlots, Key: fmt.Sprintf("slot %d of %v", at-e.row.Offset, e.service.VIP), Want: v.slotName(want), Have: v.slotName(s)}
	if at-e.row.Offset >= e.row.Size {
		d.Key = fmt.Sprintf("previous slot %d of %v", at-e.row.PreviousOffset, e.service.VIP)
	}
	for range slotTries {
		if v.repair && !d.Repaired {
			d.Repaired = v.registry.tables.SwapSlot(at, s, want, countFrom)
			s = v.registry.tables.Slot(at)
			want, _ = judge(s)
		}
	}
	v.Add(d)
}

// slotName says whose a slot is.
func (v *verifier) slotName(s bpf.Slot) string {
	name := v.replicaName(s.Owner())
	if s.InTransition() || s.Previous() != s.Owner() {
		name += ", before " + v.replicaName(s.Previous())
	}
	return name
}

func (v *verifier) replicaName(id uint32) string {
	if id == bpf.ReplicaNone {
		return "none"
	}
	if e := v.serviceOfReplica(id); e != nil {
		for a, of := range e.ids {
			if of == id {
				return a.String()
			}
		}
	}
	return fmt.Sprintf("replica %d, which is no service's", id)
}

func (v *verifier) address(a netip.Addr) {
	row := v.addresses[a]
	if row == nil || row.At == noRow {
		return
	}
	same(v, bpf.LbMapServices, &v.registry.tables.Services, row.At, row.Row(addressKey(a)), a.String)
	v.unsound = v.unsound || !v.registry.tables.ServiceIndex().Has(addressKey(a), row.At)
}

// part is how many rows or buckets are compared at least before a pause.
const part = 1 << 10

// strangers finds replicas that are no service's and take packets.
func (v *verifier) strangers() error {
	for id := range v.registry.tables.Replicas.Pass() {
		if id%part == 0 {
			if err := v.pause(); err != nil {
				return err
			}
		}
		row := v.registry.tables.Replicas.Row(id)
		if row.State == uint8(bpf.LbReplicaStateREPLICA_GONE) || v.serviceOfReplica(id) != nil {
			continue
		}
		_, had := tables.Differences(bpf.LbReplica{}, *row)
		if v.repair {
			v.registry.tables.SetState(id, bpf.LbReplicaStateREPLICA_GONE)
		}
		v.Add(lb.Drift{Table: bpf.LbMapReplicas, Key: fmt.Sprintf("row %d, which is no service's", id), Want: "state 0", Have: had, Repaired: v.repair})
	}
	return nil
}

// indexes compares what packets find. Only where a look at each bucket, or at each service before, has found something it is
// compared as a whole.
func (v *verifier) indexes() error {
	for _, x := range []struct {
		index   tables.Index
		belongs func(uint32) (bpf.LbEndpoint, bool)
	}{{v.registry.tables.ServiceIndex(), v.serviceAt}, {v.registry.tables.RevNatIndex(), v.revNatAt}} {
		for bucket := range x.index.Buckets() {
			v.unsound = v.unsound || !x.index.Sound(bucket, x.belongs)
			if bucket%part == 0 {
				if err := v.pause(); err != nil {
					return err
				}
			}
		}
	}
	if v.unsound {
		v.compareIndexes()
	}
	return nil
}

// serviceAt returns what the row of a service or address is found by.
func (v *verifier) serviceAt(at uint32) (bpf.LbEndpoint, bool) {
	if int(at) >= v.registry.tables.Services.Len() {
		return bpf.LbEndpoint{}, false
	}
	key := v.registry.tables.Services.Row(at).Vip
	if e := v.services[vipOf(key)]; e != nil {
		return key, e.at == at
	}
	row := v.addresses[key.AddrPort().Addr()]
	return key, row != nil && row.At == at && key == addressKey(key.AddrPort().Addr())
}

// revNatAt returns what the reverse NAT entry of a replica is found by.
func (v *verifier) revNatAt(id uint32) (bpf.LbEndpoint, bool) {
	e := v.serviceOfReplica(id)
	if e == nil || e.service.Mode != lb.NAT {
		return bpf.LbEndpoint{}, false
	}
	return replicaKey(e.service.VIP, v.registry.tables.AddressOf(id)), true
}

func (v *verifier) compareIndexes() {
	services, revNats := map[uint32]bpf.LbEndpoint{}, map[uint32]bpf.LbEndpoint{}
	for _, e := range v.services {
		services[e.at] = e.row.Vip
		for a, id := range e.ids {
			if e.answered(a) {
				revNats[id] = replicaKey(e.service.VIP, a)
			}
		}
	}
	for a, row := range v.addresses {
		services[row.At] = addressKey(a)
	}
	v.compareIndex(bpf.LbMapServiceIndex, v.registry.tables.ServiceIndex(), services)
	v.compareIndex(bpf.LbMapRevNatIndex, v.registry.tables.RevNatIndex(), revNats)
}

func (v *verifier) compareIndex(table string, index tables.Index, rows map[uint32]bpf.LbEndpoint) {
	for _, d := range index.Deviations(rows) {
		if v.repair {
			index.Restore(d)
		}
		bucket, found := fmt.Sprintf("bucket %d", d.Bucket), v.Found
		for _, row := range d.Want {
			if !slices.Contains(d.Have, row) {
				v.Add(lb.Drift{Table: table, Key: tables.EndpointName(rows[row]), Want: fmt.Sprintf("row %d", row), Have: "not found", Repaired: v.repair})
			}
		}
		for _, row := range d.Have {
			if !slices.Contains(d.Want, row) {
				v.Add(lb.Drift{Table: table, Key: bucket, Want: "not there", Have: fmt.Sprintf("row %d", row), Repaired: v.repair})
			}
		}
		if v.Found == found {
			v.Add(lb.Drift{Table: table, Key: bucket, Want: "each row once, and one after the other", Have: "a gap, or a row twice", Repaired: v.repair})
		}
	}
}

// digest is a number that differs, but by accident, between two tables of slots. It is a sum without carry: whoever changes a
// slot corrects it by what digestOf is before and after.
func (reg *registry) digest(e *entry) (sum uint64) {
	for i := range e.row.Size {
		sum ^= digestOf(i, reg.tables.Slot(e.row.Offset+i))
	}
	return sum
}

// unlike is in the place of the digest of slots that are not known.
const unlike = math.MaxUint64

// digestOf is a slot's part of the digest. Of one that is in transition the previous owner and its age do not count: packets
// change the one, and the other need not stay.
func digestOf(i uint32, s bpf.Slot) uint64 {
	if s = s.WithAge(0); s.InTransition() {
		s = s.WithPrevious(bpf.ReplicaNone)
	}
	h := (uint64(s) ^ uint64(i)*0xbf58476d1ce4e5b9) * 0x9e3779b97f4a7c15
	return (h ^ h>>29) * 0xbf58476d1ce4e5b9
}
