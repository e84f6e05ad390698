package datapath

import (
	"slices"

	"lbctl/bpf"
)

// retire gives up what e has and keep (nil: none) has not. The index does not point at e any more, or not
// yet. But packets that have read the index before may still be reading e, so its numbers are freed only
// by reclaim.
func (d *Datapath) retire(e, keep *entry) {
	d.readersPending = true
	ids := d.retireReplicas(e, keep)
	if e.recorded && (len(ids) > 0 || !keep.tracked()) {
		d.staleRecords = true
	}
	ranges := e.ranges()
	if keep != nil {
		kept := keep.ranges()
		ranges = slices.DeleteFunc(ranges, func(r extent) bool { return slices.Contains(kept, r) })
	}
	d.deferFree(func() {
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
		}
		if _, ok := keep.replicaID(a); ok {
			continue
		}
		setState(&d.tables.replicas.rows[id], bpf.LbReplicaStateREPLICA_GONE)
		if d.serviceOfReplica(id) == e {
			d.byReplica[id] = nil
		}
		delete(d.via, id)
		d.removedReplicas = append(d.removedReplicas, id)
		ids = append(ids, id)
	}
	return ids
}

// deferFree has release called by reclaim, when no packet can be using the numbers any more.
func (d *Datapath) deferFree(release func()) { d.deferred = append(d.deferred, release) }

// reclaim waits until no packet reads what is retired, removes the records that are of no service, and
// frees the numbers. One grace period and one pass over all records serve any number of changes, and
// neither is needed before numbers run out.
func (d *Datapath) reclaim() error {
	if len(d.deferred) == 0 && !d.staleRecords {
		return nil
	}
	if err := d.awaitReaders(); err != nil {
		return err
	}
	if d.staleRecords {
		d.removeStaleRecords()
	}
	if err := d.foldRemoved(); err != nil {
		return err
	}
	for _, release := range d.deferred {
		release()
	}
	d.deferred = nil
	return nil
}

// awaitReaders returns when no packet reads any more what the changes so far have replaced.
func (d *Datapath) awaitReaders() error {
	if err := grace(); err != nil {
		return err
	}
	d.readersPending = false
	return nil
}
