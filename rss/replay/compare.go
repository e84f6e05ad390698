package replay

import (
	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay/flows"
)

// other is a setup under comparison.
type other struct {
	Other
	queues  []Load
	buckets []Load
	// unhashed went to queue 0 without a hash; moved went to another queue than under the first setup.
	unhashed, moved Load
	// places are the results of the waiting packets.
	places [flows.MaxWarm]place
}

type place struct {
	queue rss.Queue
	index int32 // -1 without a hash
}

func newOther(o Other) other {
	return other{Other: o, queues: make([]Load, o.Queues), buckets: make([]Load, len(o.NIC.Config().Table))}
}

// add counts waiting packet number at.
func (o *other) add(frame []byte, h *packet.Headers, err error, w *waiting, at int) {
	result := o.NIC.ClassifyHeaders(frame, h, err)
	p := place{result.Queue, -1}
	o.queues[p.queue].add(w.bytes)
	if result.Hashed {
		p.index = int32(result.Index)
		o.buckets[p.index].add(w.bytes)
	} else {
		o.unhashed.add(w.bytes)
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
	if p.index >= 0 {
		o.buckets[p.index].Flows++
	} else {
		o.unhashed.Flows++
	}
	if p.queue != w.queue {
		o.moved.Flows++
	}
}
