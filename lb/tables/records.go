package tables

import (
	"slices"
	"sync/atomic"

	"lbctl/bpf"
	"lbctl/lb"
)

// Record is the place of a record of a flow. Packets may change it at any time.
type Record struct {
	// Stage is the table: lb.Established or lb.HalfOpen.
	Stage lb.Record
	word  *uint64
	steps *Steps
}

// Read returns what stands there now, 0 if nothing does.
func (r Record) Read() bpf.Record { return bpf.Record(atomic.LoadUint64(r.word)) }

// Swap replaces a record. It returns false if a packet has changed it meanwhile.
func (r Record) Swap(was, is bpf.Record) bool {
	return r.steps.swap64(r.word, uint64(was), uint64(is))
}

// stage is a table of records.
type stage struct {
	lines *Table[bpf.LbRecords]
	stage lb.Record
}

// stages returns the tables of records in the order in which packets look into them.
func (t *Tables) stages() []stage {
	return []stage{{&t.Established, lb.Established}, {&t.HalfOpen, lb.HalfOpen}}
}

// Records calls visit with every record, whose place is valid until visit returns. It reads the half-open ones first: a packet that promotes a record
// writes it to the other table before it removes it here, so none is missed.
func (t *Tables) Records(visit func(Record, bpf.Record)) {
	for _, table := range slices.Backward(t.stages()) {
		for _, line := range table.lines.Pass() {
			for e := range line.Entry {
				if r := bpf.Record(atomic.LoadUint64(&line.Entry[e])); r != 0 {
					visit(Record{table.stage, &line.Entry[e], &t.Steps}, r)
				}
			}
		}
	}
}

// FindRecord returns the record of a flow by its key and its hash, 0 if there is none.
func (t *Tables) FindRecord(key uint64, hash uint32) (bpf.Record, lb.Record) {
	for _, table := range t.stages() {
		line := lineOf(table.lines, key)
		for e := range line.Entry {
			if r := bpf.Record(atomic.LoadUint64(&line.Entry[e])); r.HasTag(hash, key) {
				return r, table.stage
			}
		}
	}
	return 0, lb.NoRecord
}

// HasRoom reports whether the record of a flow that begins would take no other's place.
func (t *Tables) HasRoom(key uint64) bool {
	line := lineOf(&t.HalfOpen, key)
	for e := range line.Entry {
		if atomic.LoadUint64(&line.Entry[e]) == 0 {
			return true
		}
	}
	return false
}

func lineOf(lines *Table[bpf.LbRecords], key uint64) *bpf.LbRecords {
	return lines.Row(uint32(key) & uint32(lines.Len()-1))
}
