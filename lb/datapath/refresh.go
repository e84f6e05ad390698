package datapath

// refresh resolves anew the ways to all replicas that go by a neighbour (nil:
// every one), and writes those that changed: into the hop that is not in use, then
// one store makes it the one in use. Only when no packet can be reading the other
// one any more does it return, so that the next change may write there.
func (d *Datapath) refresh(by *neighbour) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	changed, network := false, d.hops.look()
	for _, e := range d.services {
		for a, id := range e.ids {
			if by != nil && d.via[id] != *by {
				continue
			}
			w, via := network.resolve(a.Addr())
			d.via[id] = via
			row := &d.tables.replicas.rows[id]
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
