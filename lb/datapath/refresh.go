package datapath

import (
	"sync/atomic"
	"unsafe"

	"lbctl/bpf"
)

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
			way := network.resolve(a.Addr())
			d.via[id] = way.by
			row := &d.tables.replicas.rows[id]
			if now := row.Which & 1; row.Hops[now] == way.hop && row.TunnelSource[now] == way.source {
				continue
			}
			turn(row, way)
			changed = true
			d.options.Logger.Debug("next hop changed", "replica", a, "interface", way.hop.Ifindex, "state", way.hop.State)
		}
	}
	if !changed {
		return nil
	}
	return grace()
}

// turn makes another way the one in use. The switch is one aligned store of the word that
// holds `which`; the other fields of that word do not change.
func turn(row *bpf.LbReplica, to way) {
	next := (row.Which & 1) ^ 1
	row.Hops[next], row.TunnelSource[next] = to.hop, to.source
	word := (*uint32)(unsafe.Pointer(&row.L4Delta))
	changed := *row
	changed.Which = next
	atomic.StoreUint32(word, *(*uint32)(unsafe.Pointer(&changed.L4Delta)))
}
