package replay

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay/flows"
)

// Cause is the reason why packets of one flow or connection went to different queues.
type Cause uint8

// The causes.
const (
	_ Cause = iota
	// Fragment: the NIC hashes a fragment without ports, unlike the other packets of the flow.
	Fragment
	// Tunnel: the NIC hashes the outer header, and the flow is that of the inner one.
	Tunnel
	// TableChanged: the indirection table was rewritten during the flow.
	TableChanged
	// OtherFields: a hashed field that is not part of the flow (a flow label, an SPI) changed.
	OtherFields
	// Direction: the two directions of a connection are on two queues.
	Direction
	causes
)

// String returns the name that scripts rely on.
func (c Cause) String() string {
	return [causes]string{"none", "fragment", "tunnel", "table-changed", "other-fields", "direction"}[c]
}

// Violation is the misrouted packets of one cause.
type Violation struct {
	Cause string `json:"cause"`
	// Flows is the number of flows with packets on more than one queue; for Direction the number of connections whose
	// directions are on different queues.
	Flows uint64 `json:"flows"`
	// Packets is the number of packets on another queue than the first packet of their flow, than the packets of
	// their flow that are not fragments, or than the direction that came first.
	Packets uint64 `json:"packets"`
	// Example is the first such flow.
	Example string `json:"example"`
}

// tally counts a cause.
type tally struct {
	flows, packets uint64
	example        string
}

func (t *tally) add(packets uint64, example func() string) {
	if t.flows == 0 {
		t.example = example()
	}
	t.flows++
	t.packets += packets
}

// misrouted counts the packets of a flow that the NIC took for another flow's.
type misrouted struct {
	packets uint64
	// queue is the queue of the first of them; split counts those on other queues.
	queue rss.Queue
	split uint64
	why   Cause
}

// offQueue counts a packet that came to another queue than the first packet of its flow.
func (r *Replay) offQueue(e *flows.Entry, w *waiting) {
	why := OtherFields
	if w.changed && e.Hash == w.hash {
		why = TableChanged
	}
	t := &r.found[why]
	t.packets++
	if e.Marks&markMisrouted != 0 {
		return
	}
	e.Marks |= markMisrouted
	t.add(0, func() string { return example(e.Key().Flow(), e.Queue, w.queue) })
}

// countForOwner counts a packet that the NIC took for another flow's for the flow that it belongs to, which gets an
// entry without packets if there is none.
func (r *Replay) countForOwner(w *waiting) error {
	number, _, err := r.flows.Get(&w.owner)
	if err != nil {
		return err
	}
	a, known := r.misrouted[number]
	if !known {
		a.queue, a.why = w.queue, w.why
	}
	a.packets++
	if a.queue != w.queue {
		a.split++
	}
	r.misrouted[number] = a
	return nil
}

// violations completes and returns the violations.
func (r *Replay) violations() []Violation {
	for _, number := range slices.Sorted(maps.Keys(r.misrouted)) { // the example is the first flow
		r.judge(r.flows.At(number), r.misrouted[number])
	}
	r.directions()
	list := []Violation{}
	for why, t := range r.found {
		if t.flows > 0 {
			list = append(list, Violation{Cause(why).String(), t.flows, t.packets, t.example})
		}
	}
	return list
}

// judge counts the misrouted packets of a flow that came to another queue than the rest of it.
func (r *Replay) judge(e *flows.Entry, a misrouted) {
	switch {
	case e.Packets > 0 && e.Queue != a.queue:
		r.found[a.why].add(min(e.Packets, a.packets-a.split), func() string { return example(e.Key().Flow(), e.Queue, a.queue) })
	case a.split > 0:
		r.found[a.why].add(a.split, func() string { return fmt.Sprintf("%v: queue %d and others", e.Key().Flow(), a.queue) })
	}
}

// directions looks for connections whose directions are on two queues. Each connection is found once, at the flow
// that came second.
func (r *Replay) directions() {
	var keys [flows.MaxWarm]flows.Key
	for from := 0; from < r.flows.Len(); from += len(keys) {
		n := min(len(keys), r.flows.Len()-from)
		for i := range n {
			keys[i] = r.flows.At(from + i).Key().Reverse()
		}
		r.flows.Warm(keys[:n])
		for i := range n {
			if there, found := r.flows.Find(&keys[i]); found && there < from+i {
				r.direction(there, from+i)
			}
		}
	}
}

// direction compares the queues of the two directions of a connection, given by their numbers.
func (r *Replay) direction(forth, back int) {
	first, _ := r.place(forth)
	second, packets := r.place(back)
	if first != second {
		r.found[Direction].add(packets, func() string { return example(r.flows.At(forth).Key().Flow(), first, second) })
	}
}

// place returns the queue and packets of a flow, also if all its packets were misrouted.
func (r *Replay) place(number int) (rss.Queue, uint64) {
	if e := r.flows.At(number); e.Packets > 0 {
		return e.Queue, e.Packets
	}
	a := r.misrouted[number]
	return a.queue, a.packets
}

func example(f packet.Flow, first, second rss.Queue) string {
	return fmt.Sprintf("%v: queues %d and %d", f, first, second)
}

// withPorts returns a flow with other ports.
func withPorts(f packet.Flow, source, destination uint16) packet.Flow {
	f.Source = netip.AddrPortFrom(f.Source.Addr(), source)
	f.Destination = netip.AddrPortFrom(f.Destination.Addr(), destination)
	return f
}
