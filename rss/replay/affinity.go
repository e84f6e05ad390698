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

// Cause is why packets that belong together came to different queues.
type Cause uint8

// The causes.
const (
	_ Cause = iota
	// Fragment: a fragment has no ports for the NIC, so it is hashed on less than the flow's whole packets.
	Fragment
	// Tunnel: the NIC hashes the outer header, the flow is in the inner one.
	Tunnel
	// TableChanged: the indirection table was rewritten while the flow lasted.
	TableChanged
	// OtherFields: a hashed field that is not of the flow (a flow label, an SPI) changed.
	OtherFields
	// Direction: the two directions of a connection are on two queues.
	Direction
	causes
)

// String returns the name that scripts rely on.
func (c Cause) String() string {
	return [causes]string{"none", "fragment", "tunnel", "table-changed", "other-fields", "direction"}[c]
}

// Violation is one cause and what it did.
type Violation struct {
	Cause string `json:"cause"`
	// Flows are those with packets on more than one queue; of Direction the connections, whose
	// directions each keep to one queue.
	Flows uint64 `json:"flows"`
	// Packets are those that came to another queue than the rest of their flow: than its first packet, than
	// its whole packets, than the direction seen first.
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

// aside is what is known of the packets of a flow that the NIC took for another's.
type aside struct {
	packets uint64
	// queue is where the first of them went; split counts those that went elsewhere.
	queue rss.Queue
	split uint64
	why   Cause
}

// strayed counts a packet that came to another queue than the first of its flow.
func (r *Replay) strayed(e *flows.Entry, w *waiting) {
	why := OtherFields
	if w.changed && e.Hash == w.hash {
		why = TableChanged
	}
	t := &r.found[why]
	t.packets++
	if e.Marks&markStray != 0 {
		return
	}
	e.Marks |= markStray
	t.add(0, func() string { return example(e.Key().Flow(), e.Queue, w.queue) })
}

// setAside counts a packet for its owner. An owner of which nothing else came is held
// too, with no packets.
func (r *Replay) setAside(w *waiting) error {
	number, _, err := r.flows.Get(&w.owner)
	if err != nil {
		return err
	}
	a, known := r.asides[number]
	if !known {
		a.queue, a.why = w.queue, w.why
	}
	a.packets++
	if a.queue != w.queue {
		a.split++
	}
	r.asides[number] = a
	return nil
}

// violations ends the search for packets that left their flow.
func (r *Replay) violations() []Violation {
	for _, number := range slices.Sorted(maps.Keys(r.asides)) { // the example is to be the first
		r.judge(r.flows.At(number), r.asides[number])
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

// judge tells whether the packets set aside came to another queue than the rest.
func (r *Replay) judge(e *flows.Entry, a aside) {
	switch {
	case e.Packets > 0 && e.Queue != a.queue:
		r.found[a.why].add(min(e.Packets, a.packets-a.split), func() string { return example(e.Key().Flow(), e.Queue, a.queue) })
	case a.split > 0:
		r.found[a.why].add(a.split, func() string { return fmt.Sprintf("%v: queue %d and others", e.Key().Flow(), a.queue) })
	}
}

// directions looks for connections whose directions are on two queues. Each is found at its
// second direction.
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

// direction holds the two directions of a connection, by their numbers, against each other.
func (r *Replay) direction(forth, back int) {
	first, _ := r.place(forth)
	second, packets := r.place(back)
	if first != second {
		r.found[Direction].add(packets, func() string { return example(r.flows.At(forth).Key().Flow(), first, second) })
	}
}

// place returns the queue and packets of a flow, also of one that the NIC never saw as such.
func (r *Replay) place(number int) (rss.Queue, uint64) {
	if e := r.flows.At(number); e.Packets > 0 {
		return e.Queue, e.Packets
	}
	a := r.asides[number]
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
