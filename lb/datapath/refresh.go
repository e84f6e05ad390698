package datapath

// refresh resolves the next hops of the replicas that a change of the network may concern. A next hop
// that differs is written into the replica's hop that is not active; then one store makes it the active
// one. refresh returns when no packet can be reading the other hop any more, so that the next change may
// write there.
func (d *Datapath) refresh(c changes) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	changed, network := false, d.hops.gather()
	for _, e := range d.services {
		for a, id := range e.ids {
			row := &d.tables.replicas.rows[id]
			switch via := d.via[id]; {
			case c.mayRoute(a.Addr()):
			case c.neighbours[via] && !network.agrees(hopInUse(row).hop, via):
			default:
				continue
			}
			next, via := network.resolve(a.Addr())
			d.via[id] = via
			if hopInUse(row) == next {
				continue
			}
			flipHop(row, next)
			changed = true
			d.options.Logger.Debug("next hop changed", "replica", a, "interface", next.hop.Ifindex, "state", next.hop.State)
		}
	}
	if !changed {
		return nil
	}
	return d.awaitReaders()
}
