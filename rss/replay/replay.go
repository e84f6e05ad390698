package replay

import (
	"fmt"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay/flows"
	"lbctl/rss/replay/pcap"
)

// Replay is a running replay. It is not safe for concurrent use.
type Replay struct {
	o Options
	// now is the current NIC: o.NIC, or after the change of table the one with the new table.
	now *nic.NIC
	// table is the table of o.NIC; buckets has its entries.
	table   rss.Table
	changed bool

	total Load
	// unhashed by its cause; unpredicted is not in total.
	unhashed    tallies
	unpredicted Load
	super       Load
	to          nic.DefaultQueue
	queues      []Load
	buckets     []Load
	flows       *flows.Table
	misrouted   map[int]misrouted
	pieces      pieces
	found       [causes]tally
	others      []other
	windows     windows
	clock       clock

	// Packets wait so that their flows are looked up together.
	waiting int
	keys    [flows.MaxWarm]flows.Key
	packets [flows.MaxWarm]waiting
}

// waiting is a classified packet whose flow is not counted yet. Replay.keys has its key.
type waiting struct {
	hash     uint32
	unhashed nic.Unhashed
	known    bool // it has a flow
	changed  bool // it came after the change of table
	queue    rss.Queue
	index    int32 // -1 without one
	bytes    uint64
	// owner is the flow that it belongs to for its receiver, if why is set.
	owner flows.Key
	why   Cause
}

// New returns a replay without packets.
func New(o Options) (*Replay, error) {
	o, err := o.validate()
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	r := &Replay{
		o: o, now: o.NIC, table: o.NIC.Config().Table,
		queues: make([]Load, o.Queues), flows: flows.New(), misrouted: map[int]misrouted{},
		windows: newWindows(o.Window, o.Queues), to: o.NIC.Config().DefaultQueue,
	}
	r.buckets = make([]Load, len(r.table))
	for _, other := range o.Others {
		r.others = append(r.others, newOther(other))
	}
	return r, nil
}

// Add replays a packet. The error is flows.ErrFull. It allocates only for new flows.
func (r *Replay) Add(record *pcap.Record) error {
	bytes := uint64(record.Length)
	r.clock.see(record)
	r.maybeChange()
	h, err := packet.ParseCaptured(record.Frame, record.Cut)
	if h.Super {
		r.super.add(bytes)
	}
	result := r.now.ClassifyHeaders(record.Frame, &h, err)
	if !r.predicts(record.Frame, &h, err, &result) {
		r.unpredicted.add(bytes)
		return nil
	}
	w := &r.packets[r.waiting]
	*w = waiting{hash: result.Hash, unhashed: result.Unhashed, changed: r.changed, queue: result.Queue, index: -1, bytes: bytes}
	w.known = result.Flow.Source.IsValid()
	key := &r.keys[r.waiting]
	*key = flows.Key{}
	if w.known {
		*key = flows.KeyOf(&result.Flow)
		w.owner, w.why = r.owner(record.Frame, &h, key, result.Tunnel)
	}
	r.count(w, &result, &h)
	r.windows.add(r.clock.since, int(result.Queue), bytes)
	for i := range r.others {
		r.others[i].add(w, r.waiting)
	}
	if r.waiting++; r.waiting == len(r.keys) {
		return r.flush()
	}
	return nil
}

// count adds a packet to its queue and bucket.
func (r *Replay) count(w *waiting, result *nic.Result, h *packet.Headers) {
	r.total.add(w.bytes)
	r.queues[w.queue].add(w.bytes)
	if w.unhashed != 0 {
		r.unhashed.add(w.unhashed, w.bytes, h)
		if !r.to.FirstEntry {
			return
		}
	}
	index := result.Index
	if w.changed && w.unhashed == 0 { // result.Index is of the new table
		index = r.table.Index(result.Hash)
	}
	w.index = int32(index)
	r.buckets[index].add(w.bytes)
}

// maybeChange rewrites the table when it is time.
func (r *Replay) maybeChange() {
	c := r.o.Change
	if c == nil || r.changed {
		return
	}
	if c.After > 0 && r.clock.since < c.After || c.After == 0 && r.total.Packets < c.Packet {
		return
	}
	r.now, r.changed = r.o.NIC.WithTable(c.Table), true
}

// flush counts the flows of the waiting packets.
func (r *Replay) flush() error {
	r.flows.Warm(r.keys[:r.waiting])
	for i := range r.waiting {
		if err := r.flow(i); err != nil {
			return err
		}
	}
	r.waiting = 0
	return nil
}

// flow counts waiting packet i for its flow.
func (r *Replay) flow(i int) error {
	w := &r.packets[i]
	if !w.known {
		return nil
	}
	_, e, err := r.flows.Get(&r.keys[i])
	if err != nil {
		return err
	}
	if e.Packets == 0 {
		r.first(e, w, i)
	} else if e.Queue != w.queue {
		r.offQueue(e, w)
	}
	e.Packets++
	e.Bytes += w.bytes
	if w.why != 0 {
		return r.countForOwner(w)
	}
	return nil
}

// first counts a flow at its first packet.
func (r *Replay) first(e *flows.Entry, w *waiting, place int) {
	e.Hash, e.Queue = w.hash, w.queue
	r.total.Flows++
	r.queues[w.queue].Flows++
	if w.unhashed == 0 {
		e.Marks |= markHashed
	} else {
		r.unhashed[w.unhashed].Flows++
	}
	if w.index >= 0 {
		r.buckets[w.index].Flows++
	}
	for i := range r.others {
		r.others[i].first(w, place)
	}
}

// The marks of a flow.
const (
	// markHashed: its first packet was hashed.
	markHashed flows.Mark = 1 << iota
	// markMisrouted: its packets came to two queues, and the flow was counted for that.
	markMisrouted
)
