package datapath

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/scheduler"
	"lbctl/lb/tables"
	"lbctl/lb/xdp"
)

// auditEvery is how often the kernel is compared with what this process has put there, beside the news of links.
const auditEvery = 10 * time.Second

// audit compares the links, the pins and the tables with what this process knows, and mends what others have changed. What it
// cannot mend Condition tells. An interface that has lost its link is for the caller of Attach.
func (d *Datapath) audit() error {
	return d.locked(func() error {
		return d.hops.network.Inside(func() error {
			d.say("rewrote the row", d.registry.audit())
			lost := d.auditLinks()
			reclaimed, err := d.links.hook.Reclaim(d.monitoring.current())
			d.say("put our program back under", reclaimed)
			return errors.Join(lost, err, d.repin())
		})
	})
}

// linkNews looks after the links if there is news of an attached interface.
func (d *Datapath) linkNews(index int) error {
	return d.locked(func() error {
		if _, attached := d.links.hook.Links[index]; !attached {
			return nil
		}
		return d.hops.network.Inside(d.auditLinks)
	})
}

// auditLinks releases the links that have lost their interfaces. The thread is in the namespace.
func (d *Datapath) auditLinks() error {
	lost, err := d.links.hook.Sync()
	for _, index := range lost {
		d.options.Logger.Warn("released the link of an interface that is gone, was moved, or from which somebody detached it", "index", index)
		d.events.tell(lb.Event{Kind: lb.LinkLost, Index: index})
	}
	return err
}

// repin pins again what others have unpinned.
func (d *Datapath) repin() error {
	if len(d.links.hook.Unpinned(d.objects.Lb, d.pinned)) == 0 {
		return nil
	}
	if err := d.dir.Relock(); err != nil {
		return err
	}
	again, err := d.links.hook.Repin(d.objects.Lb, d.pinned)
	if len(again) > 0 {
		d.say("pinned again", []string{inDir(again)})
	}
	return err
}

// inDir lists pins without their directory.
func inDir(pins []string) string {
	names := make([]string, len(pins))
	for i, pin := range pins {
		names[i] = filepath.Base(pin)
	}
	return strings.Join(names, ", ")
}

// say tells what was mended.
func (d *Datapath) say(did string, what []string) {
	for _, one := range what {
		d.mended++
		one = strings.TrimSpace(did + " " + one)
		d.options.Logger.Error("others changed the datapath: "+one, "directory", d.options.Dir)
		d.events.tell(lb.Event{Kind: lb.Mended, Detail: one})
	}
}

// Condition implements lb.Dataplane.
func (d *Datapath) Condition() (c lb.Condition, err error) {
	err = d.locked(func() error {
		return d.hops.network.Inside(func() (err error) {
			c, err = d.condition()
			return err
		})
	})
	return c, err
}

func (d *Datapath) condition() (c lb.Condition, err error) {
	c.Mended, c.Unfit = d.mended, map[netip.Addr]string{}
	for _, u := range d.hops.unfit {
		c.Unfit[u.address] = u.why
	}
	missing := d.links.hook.Unpinned(d.objects.Lb, d.pinned)
	if len(missing) > 0 {
		c.Faults = append(c.Faults, fmt.Sprintf("not pinned any more in %s: %s", d.options.Dir, inDir(missing)))
	}
	misled, err := d.links.hook.Misled(d.monitoring.current())
	if err != nil {
		return c, err
	}
	for _, name := range slices.Sorted(maps.Keys(misled)) {
		c.Faults = append(c.Faults, "another program is in the place of ours on "+name)
	}
	attached, err := d.links.hook.Interfaces()
	switch {
	case err != nil:
		return c, err
	case len(attached) == 0:
		c.Ends = "no interface is attached"
	case len(missing) > 0:
		c.Ends = c.Faults[0]
	case xdp.IsEphemeral(d.options.Dir):
		c.Ends = "the BPF file system of " + d.options.Dir + " ends with this mount namespace"
	}
	return c, nil
}

// audit rewrites the rows that are not as this process has written them, and returns which. A packet that reads one
// meanwhile may see a part of both. What packets write, records and the ages of slots, is theirs.
func (reg *registry) audit() (mended []string) {
	services, revNats := map[uint32]bpf.LbEndpoint{}, map[uint32]bpf.LbEndpoint{}
	for v, e := range reg.services {
		services[e.at] = e.row.Vip
		if restore(&reg.tables.Services, e.at, e.row) {
			mended = append(mended, fmt.Sprintf("%d of services: %v", e.at, v))
		}
		for at, row := range reg.listRows(e) {
			if restore(&reg.tables.Slots, e.row.List+uint32(at), row) {
				mended = append(mended, fmt.Sprintf("%d of slots: the list of replicas of %v", e.row.List+uint32(at), v))
			}
		}
		ranges, _ := rangeRows(e.service)
		for at, row := range ranges {
			if restore(&reg.tables.SourceRanges, e.row.FirstRange+uint32(at), row) {
				mended = append(mended, fmt.Sprintf("%d of source_ranges: %v", e.row.FirstRange+uint32(at), v))
			}
		}
		if n := reg.restoreOwners(e); n > 0 {
			mended = append(mended, fmt.Sprintf("of %d slots of %v", n, v))
		}
		mended = append(mended, reg.auditReplicas(e, revNats)...)
	}
	for a, row := range reg.addresses {
		services[row.at] = addressKey(a)
		if restore(&reg.tables.Services, row.at, bpf.LbService{Vip: addressKey(a)}) {
			mended = append(mended, fmt.Sprintf("%d of services: the address %v", row.at, a))
		}
	}
	for name, index := range map[string]struct {
		rows tables.Index
		want map[uint32]bpf.LbEndpoint
	}{
		bpf.LbMapServiceIndex: {reg.tables.ServiceIndex(), services}, bpf.LbMapRevNatIndex: {reg.tables.RevNatIndex(), revNats},
	} {
		if n := index.rows.Restore(index.want); n > 0 {
			mended = append(mended, fmt.Sprintf("of %d buckets of %s", n, name))
		}
	}
	return mended
}

// auditReplicas is audit for the replicas of a service. It adds their reverse NAT entries to those that must be visible.
func (reg *registry) auditReplicas(e *entry, revNats map[uint32]bpf.LbEndpoint) (mended []string) {
	for _, r := range e.service.Replicas {
		id := e.ids[r.Address]
		if reg.restoreReplica(e, r, id) {
			mended = append(mended, fmt.Sprintf("%d of replicas: %v of %v", id, r.Address, e.service.VIP))
		}
		if !e.answered(r.Address) {
			continue
		}
		row := reg.revNatRow(e, r.Address)
		revNats[id] = row.Replica
		if restore(&reg.tables.RevNats, id, row) {
			mended = append(mended, fmt.Sprintf("%d of rev_nats: %v", id, r.Address))
		}
	}
	return mended
}

// restoreReplica restores the row of a replica. Its next hop is the one that was written last.
func (reg *registry) restoreReplica(e *entry, r lb.Replica, id uint32) bool {
	next, known := reg.hops.written[id]
	if !known {
		next = reg.tables.Hop(id)
	}
	is := reg.tables.Replicas.Rows[id]
	want := replicaRow(e.service.VIP, e.row.Id, r, next)
	if is.ActiveHop == 1 {
		want.ActiveHop, want.Hops[1], want.TunnelSource[1] = 1, next.LbHop, next.Tunnel
	}
	inactive := 1 - want.ActiveHop
	want.Hops[inactive], want.TunnelSource[inactive] = is.Hops[inactive], is.TunnelSource[inactive]
	want.PathMtu = is.PathMtu // packets write it
	if is != want {
		want.PathMtu = 0 // somebody else has written the row, and may have written that
	}
	return restore(&reg.tables.Replicas, id, want)
}

// restoreOwners gives the slots of a service the owners that they must have, if their digest is another one.
func (reg *registry) restoreOwners(e *entry) (mended int) {
	if reg.digest(e) == e.owners {
		return 0
	}
	e.inTransition = 0
	for i, replica := range scheduler.Build(e.service) {
		at, owner := e.row.Offset+uint32(i), e.ids[e.service.Replicas[replica].Address]
		for s := reg.tables.Slot(at); s.Owner() != owner; s = reg.tables.Slot(at) {
			if reg.tables.SwapSlot(at, s, bpf.SettledSlot(owner)) {
				mended++
			}
		}
		if reg.tables.Slot(at).InTransition() {
			e.inTransition++
		}
	}
	e.owners = reg.digest(e)
	return mended
}

// digest is a number that differs, but by accident, between two tables of owners.
func (reg *registry) digest(e *entry) (sum uint64) {
	for at := e.row.Offset; at < e.row.Offset+e.row.Size; at++ {
		sum = (sum ^ uint64(reg.tables.Slot(at).Owner())) * 0x9e3779b97f4a7c15
		sum ^= sum >> 29
	}
	return sum
}

// restore writes a row that is another one.
func restore[T comparable](t *tables.Table[T], at uint32, want T) bool {
	if t.Rows[at] == want {
		return false
	}
	t.Put(at, want)
	return true
}
