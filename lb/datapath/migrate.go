package datapath

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
)

// migration replaces pinned tables of other limits, or of another layout, while packets are forwarded by them. New tables
// are made beside them, in a directory of their own, and filled. Then one update puts the program over the new tables under
// each link. Then what packets have changed in the old ones meanwhile is carried over, and the pins take their places.
//
// Tables whose size does not change are shared, and need not be carried over, but for those that Go writes: until the links
// have the new program, the old tables must stay as they are. A process that ends in between leaves them, or the new ones,
// in use: see resume.
type migration struct {
	dir    *xdp.Dir
	pinned *pinned
	// old is over the pinned tables; nil: they cannot be read.
	old *Datapath
	// keepIDs: the replicas have the same ids in the new tables.
	keepIDs bool
	shared  map[string]*ebpf.Map
	// counted is what had been counted of each replica, by its new id, when its counter was copied.
	counted map[uint32]lb.Count
}

// begin looks at what is pinned. What does not fit is to be migrated.
func (d *Datapath) begin() error {
	found, err := d.openPinned(d.options.Dir)
	if found == nil || err != nil {
		return err
	}
	if found.fits {
		return found.close()
	}
	m := &migration{dir: d.dir, pinned: found, shared: map[string]*ebpf.Map{}}
	d.migration = m
	if found.why != "" && d.options.Services == nil {
		return &unreadableError{d.options.Dir, found.why}
	}
	if found.why == "" {
		if m.old, err = d.over(found); err != nil {
			return err
		}
		if err := m.old.roomWithin(d.options); err != nil {
			return err
		}
		if err := m.share(d); err != nil {
			return err
		}
	}
	defer d.step("begun")
	return d.dir.MakeNext()
}

// over returns a datapath over pinned tables, without a program. It has adopted them. The caller unmaps them.
func (d *Datapath) over(t *pinned) (*Datapath, error) {
	o := d.options
	o.Limits, o.manualClock = t.limits, true
	old := newDatapath(o)
	old.objects.LbMaps, old.hops.network = t.maps, d.hops.network
	reasons, err := bpf.Reasons()
	if err != nil {
		return nil, err
	}
	if t.maps.ByReason.MaxEntries() == uint32(len(reasons)) {
		old.reasons = reasons
	}
	if err := old.mapTables(); err != nil {
		return old, err
	}
	damaged, err := old.registry.adopt()
	if d.say(damaged); err != nil {
		return old, fmt.Errorf("adopt the tables pinned in %s: %w", o.Dir, err)
	}
	return old, nil
}

// roomWithin returns an error if what is in the tables has no room within the limits of options.
func (d *Datapath) roomWithin(o Options) error {
	var in lb.Usage
	for _, e := range d.registry.services {
		in.Add(e.service)
		if e.rehashed() {
			in.Slots += uint64(e.row.PreviousSize)
		}
	}
	for _, l := range []struct {
		what  string
		in    uint64
		limit uint32
	}{
		{"services", in.Services, o.Limits.Services}, {"replicas", in.Replicas, o.Limits.Replicas}, {"slots", in.Slots, o.Limits.Slots},
		{"source_ranges", in.SourceRanges, o.Limits.SourceRanges},
	} {
		if l.in > uint64(l.limit) {
			return &limitError{o.Dir, l.what, l.limit, fmt.Sprintf("%d are in use", l.in), l.in}
		}
	}
	return nil
}

// share finds out which tables the new program can use as they are.
func (m *migration) share(d *Datapath) error {
	spec, err := d.spec()
	if err != nil {
		return err
	}
	m.keepIDs = true
	for _, e := range m.old.registry.services {
		for _, id := range e.ids {
			m.keepIDs = m.keepIDs && id < d.options.Limits.Replicas
		}
	}
	names := []string{bpf.LbMapFragments, bpf.LbMapTokenBuckets, bpf.LbMapByReason}
	if m.pinned.schema == schema {
		names = append(names, bpf.LbMapSettings)
	}
	if m.keepIDs {
		names = append(names, bpf.LbMapEstablished, bpf.LbMapHalfOpen, bpf.LbMapByReplica, bpf.LbMapFlowCounts)
	}
	for _, name := range names {
		if is := m.pinned.byName[name]; is != nil && spec.Maps[name].Compatible(is) == nil {
			m.shared[name] = is
		}
	}
	return nil
}

// secret returns the secret of the keys of the flows that are carried over or, if there are none, a new one.
func (m *migration) secret() (secret [4]uint64, err error) {
	if m != nil && m.old != nil {
		var row bpf.LbSetting
		if err := m.pinned.maps.Settings.Lookup(uint32(0), &row); err != nil {
			return secret, fmt.Errorf("read the settings: %w", err)
		}
		return row.Secret, nil
	}
	var random [32]byte
	rand.Read(random[:])
	for i := range secret {
		secret[i] = binary.NativeEndian.Uint64(random[8*i:])
	}
	return secret, nil
}

// fill gives the new tables what is in the old ones or, if those cannot be read, what is to be forwarded.
func (m *migration) fill(ctx context.Context, d *Datapath) error {
	d.step("loaded")
	if m.old == nil {
		for _, s := range d.options.Services {
			if err := s.Validate(); err != nil {
				return err
			}
			if err := d.registry.set(ctx, s); err != nil {
				return fmt.Errorf("make the tables anew: %w", err)
			}
		}
		return nil
	}
	from := m.old.registry
	for _, v := range slices.SortedFunc(maps.Keys(from.services), lb.VIP.Compare) {
		if err := d.registry.receive(from, from.services[v], m.keepIDs); err != nil {
			return fmt.Errorf("carry over the tables pinned in %s: %w", d.options.Dir, err)
		}
	}
	return nil
}

// take puts the program over the new tables under the links, and the pins in their places.
func (m *migration) take(d *Datapath) error {
	hook := d.links.hook
	d.step("filled")
	if err := m.dir.PinNext(hook, d.objects.Lb); err != nil {
		return err
	}
	if err := m.carry(d); err != nil {
		return err
	}
	was, err := hook.Pinned()
	if err != nil {
		return err
	}
	if was != nil {
		defer was.Close()
	}
	d.step("carried")
	if err := hook.Update(d.objects.Lb, was); err != nil {
		return err
	}
	d.step("switched")
	if err := m.catchUp(d); err != nil {
		return err
	}
	d.step("caught up")
	if err := m.dir.TakeNext(hook, d.step); err != nil {
		return err
	}
	m.tell(d)
	d.migration = nil
	return m.close()
}

func (d *Datapath) step(name string) {
	if d.options.step != nil {
		d.options.step(d, name)
	}
}

func (m *migration) sharesRecords() bool { return m.shared[bpf.LbMapEstablished] != nil }

// carry copies what packets write and the new program is about to need. It does not run yet.
func (m *migration) carry(d *Datapath) error {
	if m.old == nil {
		return nil
	}
	if m.shared[bpf.LbMapByReplica] == nil {
		if err := m.carryCounters(d); err != nil {
			return err
		}
	}
	if m.sharesRecords() {
		return nil
	}
	carried, lost := d.registry.carryRecords(m.old.registry)
	if lost > 0 {
		return &limitError{d.options.Dir, "flows", d.options.Limits.Flows, fmt.Sprintf("%d of %d recorded flows find no room", lost, carried+lost), 0}
	}
	return nil
}

// catchUp carries over what packets have changed in the old tables until no packet was in the old program any more.
func (m *migration) catchUp(d *Datapath) error {
	if err := d.registry.grace.Wait(); err != nil || m.old == nil {
		return err
	}
	d.registry.catchUp(m.old.registry)
	if !m.sharesRecords() {
		d.registry.carryRecords(m.old.registry)
	}
	return m.countRest(d)
}

// carryCounters copies the counters of replicas. No packet counts in the new ones yet.
func (m *migration) carryCounters(d *Datapath) error {
	m.counted = map[uint32]lb.Count{}
	for v, was := range m.old.registry.services {
		for a, id := range d.registry.services[v].ids {
			var perCPU []bpf.LbCount
			if err := m.pinned.maps.ByReplica.Lookup(was.ids[a], &perCPU); err != nil {
				return fmt.Errorf("read the counter of %v: %w", a, err)
			}
			if err := d.objects.ByReplica.Put(id, perCPU); err != nil {
				return fmt.Errorf("write the counter of %v: %w", a, err)
			}
			m.counted[id] = sum(perCPU)
		}
	}
	return nil
}

// countRest adds what was counted since by the old program: to the service, since the replica's counter is the packets' now.
func (m *migration) countRest(d *Datapath) error {
	var rest lb.Count
	for v, e := range d.registry.services {
		retired := *d.registry.tables.RetiredCounts.Row(e.row.Id)
		for a, id := range e.ids {
			before, copied := m.counted[id]
			if !copied {
				continue
			}
			now, err := read(m.pinned.maps.ByReplica, m.old.registry.services[v].ids[a])
			if err != nil {
				return err
			}
			since := lb.Count{Packets: now.Packets - before.Packets, Bytes: now.Bytes - before.Bytes}
			retired.Packets, retired.Bytes, rest = retired.Packets+since.Packets, retired.Bytes+since.Bytes, plus(rest, since)
		}
		d.registry.tables.RetiredCounts.Put(e.row.Id, retired)
	}
	return d.counters.addForwarded(rest)
}

// tell logs what became of what was pinned.
func (m *migration) tell(d *Datapath) {
	if m.old == nil {
		d.options.Logger.Warn("replaced the pinned tables under the links, without what was in them: "+m.pinned.why+". Flows that went "+
			"another way than the slots of their services say were not known and may have moved; counters begin anew",
			"services", len(d.registry.services), "interfaces", len(d.links.hook.Links))
		return
	}
	var anew []string
	if m.shared[bpf.LbMapByReason] == nil {
		anew = append(anew, "counters by reason")
	}
	if m.shared[bpf.LbMapFlowCounts] == nil {
		anew = append(anew, "new flows and resets by replica")
	}
	if m.shared[bpf.LbMapFragments] == nil {
		anew = append(anew, "fragments")
	}
	d.options.Logger.Info("carried the pinned tables over into new ones, under the links", "from", fmt.Sprintf("%+v", m.pinned.limits),
		"to", fmt.Sprintf("%+v", d.options.Limits), "services", len(d.registry.services), "interfaces", len(d.links.hook.Links),
		"begins_anew", strings.Join(anew, ", "))
}

// abandon ends a migration that failed. The old tables stay in use, unless a link has the new ones already. A nil
// migration does nothing.
func (m *migration) abandon(h *xdp.Hook) error {
	if m == nil {
		return nil
	}
	return errors.Join(m.dir.DropNext(h), m.close())
}

func (m *migration) close() error {
	var err error
	if m.old != nil {
		err = m.old.registry.tables.Unmap()
	}
	return errors.Join(err, m.pinned.close())
}

// resume ends a migration that an earlier process has not ended.
func (d *Datapath) resume() (err error) {
	if !d.dir.Interrupted() {
		return nil
	}
	hook, err := xdp.Open(d.options.Dir, programPin)
	if err != nil {
		return err
	}
	return errors.Join(d.dir.Resume(hook, d.resumeTables), hook.Close())
}

// resumeTables carries over what packets have changed in the old tables, if they can be read.
func (d *Datapath) resumeTables() (err error) {
	was, err := d.openPinned(d.options.Dir)
	if was == nil || err != nil || was.why != "" {
		return errors.Join(err, was.close())
	}
	m := migration{pinned: was}
	defer func() { err = errors.Join(err, m.close()) }()
	if m.old, err = d.over(was); err != nil {
		return err
	}
	is, err := d.openPinned(d.dir.Next(), d.options.Dir)
	if err != nil {
		return err
	}
	n := migration{pinned: is}
	defer func() { err = errors.Join(err, n.close()) }()
	if n.old, err = d.over(is); err != nil {
		return err
	}
	if err := n.old.registry.grace.Wait(); err != nil {
		return err
	}
	n.old.registry.catchUp(m.old.registry)
	n.old.registry.carryRecords(m.old.registry)
	return nil
}

// unreadableError: the pinned tables cannot be read, and what is to be forwarded is not known. It wraps lb.ErrConflict.
type unreadableError struct{ dir, why string }

func (e *unreadableError) Error() string {
	return fmt.Sprintf("%v: the tables pinned in %s cannot be read: %s", lb.ErrConflict, e.dir, e.why)
}

// Hint says what to do.
func (e *unreadableError) Hint() string {
	return "they go on as they are; name the --state-dir that the daemon had, or a file (-f), of which new ones are made without a gap"
}

func (e *unreadableError) Unwrap() error { return lb.ErrConflict }

// limitError: what is in use has no room within a limit. It wraps lb.ErrConflict.
type limitError struct {
	dir, what string
	limit     uint32
	inUse     string
	least     uint64 // 0: not known
}

func (e *limitError) Error() string {
	return fmt.Sprintf("datapath.limits.%s of %d: %v: %s by the tables pinned in %s", e.what, e.limit, lb.ErrConflict, e.inUse, e.dir)
}

// Hint says what to do.
func (e *limitError) Hint() string {
	if e.least == 0 {
		return "raise the limit; the pinned tables go on as they are"
	}
	return fmt.Sprintf("raise it to %d at least, or remove %s while a daemon runs with the old limit; the pinned tables go on as they are", e.least, e.what)
}

func (e *limitError) Unwrap() error { return lb.ErrConflict }
