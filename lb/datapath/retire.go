package datapath

import (
	"slices"

	"lbctl/bpf"
)

// retire gives up what e has and keep (nil: none) has not. Nothing points at e any
// more, or yet; but packets that looked before may still be reading it, so its numbers rest
// until settle.
func (d *Datapath) retire(e, keep *entry) {
	d.fresh = true
	ids := d.retireReplicas(e, keep)
	if e.recorded && (len(ids) > 0 || !keep.tracked()) {
		d.stale = true
	}
	ranges := e.ranges()
	if keep != nil {
		kept := keep.ranges()
		ranges = slices.DeleteFunc(ranges, func(r extent) bool { return slices.Contains(kept, r) })
	}
	d.rest(func() {
		for _, id := range ids {
			d.ids.replicas.release(id, 1)
		}
		for _, r := range ranges {
			d.ids.slots.release(r.from, r.to-r.from)
		}
		if keep == nil {
			d.ids.services.release(e.row.Id, 1)
		}
		if keep == nil || keep.row.List != e.row.List {
			d.ids.lists.release(e.row.List-d.options.Limits.Slots, e.row.Replicas)
		}
		d.ids.rows.release(e.at, 1)
	})
}

// retireReplicas removes the reverse NAT entries and the replicas of e that keep has not, and returns
// the ids of these replicas.
func (d *Datapath) retireReplicas(e, keep *entry) (ids []uint32) {
	for a, id := range e.ids {
		if e.answered(a) && !keep.answered(a) {
			k := replicaKey(e.service.VIP, a)
			d.tables.revNatAt().remove(k, id)
			delete(d.owners, k)
		}
		if _, ok := keep.replicaID(a); ok {
			continue
		}
		setState(&d.tables.replicas.rows[id], bpf.LbReplicaStateREPLICA_GONE)
		if d.ownerOf(id) == e {
			d.byID[id] = nil
		}
		delete(d.via, id)
		d.departed = append(d.departed, id)
		ids = append(ids, id)
	}
	return ids
}

// rest has numbers freed when no packet can be using them any more.
func (d *Datapath) rest(release func()) { d.resting = append(d.resting, release) }

// settle waits until no packet reads what is retired, removes the records that are of no service, and
// frees the numbers. One grace period and one look at all records serve any number of changes, and
// none is needed until numbers run out.
func (d *Datapath) settle() error {
	if len(d.resting) == 0 && !d.stale {
		return nil
	}
	if err := d.await(); err != nil {
		return err
	}
	if d.stale {
		d.purge()
	}
	if err := d.foldDeparted(); err != nil {
		return err
	}
	for _, release := range d.resting {
		release()
	}
	d.resting = nil
	return nil
}

// await returns when no packet sees what there was before the changes that have been made.
func (d *Datapath) await() error {
	if err := grace(); err != nil {
		return err
	}
	d.fresh = false
	return nil
}
