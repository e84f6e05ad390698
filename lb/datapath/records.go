package datapath

import (
	"slices"
	"sync/atomic"

	"lbctl/bpf"
	"lbctl/lb"
)

// recordAt is the place of a record.
type recordAt struct {
	word  *uint64
	stage lb.Record
}

func (p recordAt) read() bpf.Record { return bpf.Record(atomic.LoadUint64(p.word)) }

// swap replaces a record. It returns false if a packet has changed it meanwhile.
func (p recordAt) swap(was, is bpf.Record) bool {
	return atomic.CompareAndSwapUint64(p.word, uint64(was), uint64(is))
}

// stage is a table of records.
type stage struct {
	lines []bpf.LbRecords
	stage lb.Record
}

// stages returns the tables of records in the order in which packets look into them.
func (t *tables) stages() []stage {
	return []stage{{t.established.rows, lb.Established}, {t.halfOpen.rows, lb.HalfOpen}}
}

// records calls visit with every record. It reads the half-open ones first: a packet that promotes a record
// writes it to the other table before it removes it here, so none is missed.
func (t *tables) records(visit func(recordAt, bpf.Record)) {
	for _, table := range slices.Backward(t.stages()) {
		for i := range table.lines {
			line := &table.lines[i]
			for w := range line.Entry {
				if r := bpf.Record(atomic.LoadUint64(&line.Entry[w])); r != 0 {
					visit(recordAt{&line.Entry[w], table.stage}, r)
				}
			}
		}
	}
}

// recall returns the record of a flow by its key and its hash, 0 if there is none.
func (t *tables) recall(key uint64, hash uint32) (bpf.Record, lb.Record) {
	for _, table := range t.stages() {
		line := &table.lines[uint32(key)&uint32(len(table.lines)-1)]
		for w := range line.Entry {
			if r := bpf.Record(atomic.LoadUint64(&line.Entry[w])); r.HasTag(hash, key) {
				return r, table.stage
			}
		}
	}
	return 0, lb.NoRecord
}

// removeStaleRecords removes all records that name no replica of a service that tracks flows. No packet may
// read what a change has replaced.
func (d *Datapath) removeStaleRecords() {
	d.tables.records(func(p recordAt, r bpf.Record) {
		for r != 0 {
			if e := d.serviceOfReplica(r.Replica()); e != nil && e.tracked() {
				e.recorded = true
				return
			}
			if p.swap(r, 0) {
				return
			}
			r = p.read()
		}
	})
	d.staleRecords = false
}
