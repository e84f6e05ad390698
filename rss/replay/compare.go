package replay

import (
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/replay/flows"
)

// other is a setup under comparison.
type other struct {
	Other
	queues  []Load
	buckets []Load
	// unhashed has no hash; moved went to another queue than under the first setup.
	unhashed, moved Load
	// result is that of the current packet.
	result nic.Result
	to     nic.DefaultQueue
	// places are the results of the waiting packets.
	places [flows.MaxWarm]place
}

type place struct {
	queue  rss.Queue
	index  int32 // -1 without one
	hashed bool
}

func newOther(o Other) other {
	return other{Other: o, to: o.NIC.Config().DefaultQueue, queues: make([]Load, o.Queues), buckets: make([]Load, len(o.NIC.Config().Table))}
}

// add counts waiting packet number at, which result is of.
func (o *other) add(w *waiting, at int) {
	p := place{o.result.Queue, -1, o.result.Hashed}
	o.queues[p.queue].add(w.bytes)
	if !p.hashed {
		o.unhashed.add(w.bytes)
	}
	if p.hashed || o.to.FirstEntry {
		p.index = int32(o.result.Index)
		o.buckets[p.index].add(w.bytes)
	}
	if p.queue != w.queue {
		o.moved.add(w.bytes)
	}
	o.places[at] = p
}

// first counts a flow at its first packet.
func (o *other) first(w *waiting, at int) {
	p := o.places[at]
	o.queues[p.queue].Flows++
	if !p.hashed {
		o.unhashed.Flows++
	}
	if p.index >= 0 {
		o.buckets[p.index].Flows++
	}
	if p.queue != w.queue {
		o.moved.Flows++
	}
}
