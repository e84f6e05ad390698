package datapath

import "lbctl/lb"

// retire gives up what e has and keep (nil: none) has not. Nothing points at e any
// more, or yet; but packets that looked before may still be reading it, so its numbers rest
// until settle.
func (d *Datapath) retire(e, keep *entry) {
	var ids []uint32
	for a, id := range e.ids {
		if kept, ok := keep.replicaID(a); ok && kept == id {
			continue
		}
		if e.service.Mode == lb.NAT {
			k := replicaKey(e.service.VIP, a)
			d.tables.originAt().remove(k, id)
			delete(d.owners, k)
		}
		delete(d.via, id)
		ids = append(ids, id)
	}
	d.resting = append(d.resting, func() {
		for _, id := range ids {
			d.ids.replicas.release(id, 1)
		}
		if keep == nil {
			d.ids.services.release(e.row.Id, 1)
		}
		d.ids.rows.release(e.at, 1)
		d.ids.lists.release(e.row.List-d.options.Limits.Slots, e.row.Replicas)
		d.ids.slots.release(e.row.Offset, e.row.Size)
	})
}

// settle waits until no packet reads what is retired, and frees its numbers. One
// grace period serves any number of changes, and none is needed until numbers run out.
func (d *Datapath) settle() error {
	if len(d.resting) == 0 {
		return nil
	}
	if err := grace(); err != nil {
		return err
	}
	for _, release := range d.resting {
		release()
	}
	d.resting = nil
	return nil
}
