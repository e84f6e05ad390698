package tables

import (
	"sync/atomic"

	"lbctl/bpf"
	"lbctl/lb"
)

// CarryRecords adds the records of other tables to these. The tables may have other numbers of lines, and id says which
// number a replica has here, if it is here. Records that are here already stay as they are. lost is the number of
// established flows, not ended, for which there was no room.
//
// The line of a record is a part of the flow's key, of which the record has no more. So where there are more lines than
// there were, a record goes into each that may be its own. The copies that no packet finds expire.
func (t *Tables) CarryRecords(from *Tables, id func(uint32) (uint32, bool)) (carried, lost int) {
	to := t.stages()
	for i, old := range from.stages() {
		for at, line := range old.lines.Pass() {
			for e := range line.Entry {
				r := bpf.Record(atomic.LoadUint64(&line.Entry[e]))
				if r == 0 {
					continue
				}
				replica, here := id(r.Replica())
				if !here {
					continue
				}
				if t.carryRecord(to[i], int(at), old.lines.Len(), e, r.WithReplica(replica)) {
					carried++
				} else if old.stage == lb.Established && !r.HasEnded() {
					lost++
				}
			}
		}
	}
	return carried, lost
}

// carryRecord adds a record that stood in an entry of one of so many lines.
func (t *Tables) carryRecord(to stage, line, lines, entry int, r bpf.Record) (all bool) {
	all = true
	for ; line < max(lines, to.lines.Len()); line += lines {
		all = t.place(to, line&(to.lines.Len()-1), entry, r) && all
	}
	return all
}

// place adds a record to a line, in this entry if it is free. In a full line it takes the place of a flow that has ended
// or, among half-open ones, of one that is older. Packets may write the line at the same time.
func (t *Tables) place(to stage, line, entry int, r bpf.Record) bool {
	entries := &to.lines.Row(uint32(line)).Entry
	for e := range entries {
		if r.SameFlow(bpf.Record(atomic.LoadUint64(&entries[e]))) {
			return true
		}
	}
	for n := range entries {
		word := &entries[(entry+n)%len(entries)]
		if atomic.LoadUint64(word) == 0 && (Record{to.stage, word, &t.Steps}).Swap(0, r) {
			return true
		}
	}
	for e := range entries {
		was := bpf.Record(atomic.LoadUint64(&entries[e]))
		if was.HasEnded() || to.stage == lb.HalfOpen && was.Age() > r.Age() {
			return (Record{to.stage, &entries[e], &t.Steps}).Swap(was, r)
		}
	}
	return false
}
