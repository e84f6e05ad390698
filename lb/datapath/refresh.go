package datapath

// refresh resolves anew the ways to the replicas that changes of the network concern, and
// writes those that changed: into the hop that is not in use, then one store makes it the one in
// use. Only when no packet can be reading the other one any more does it return, so that the next
// change may write there.
func (d *Datapath) refresh(c changes) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	changed, network := false, d.hops.look()
	for _, e := range d.services {
		for a, id := range e.ids {
			row := &d.tables.replicas.rows[id]
			switch via := d.via[id]; {
			case c.mayRoute(a.Addr()):
			case c.neighbours[via] && !network.agrees(wayIn(row).hop, via):
			default:
				continue
			}
			w, via := network.resolve(a.Addr())
			d.via[id] = via
			if wayIn(row) == w {
				continue
			}
			turn(row, w)
			changed = true
			d.options.Logger.Debug("next hop changed", "replica", a, "interface", w.hop.Ifindex, "state", w.hop.State)
		}
	}
	if !changed {
		return nil
	}
	return d.await()
}
