// Package watch watches the steps of lb/tables and holds them against the rule of every change, as packets would find
// out: what a packet may be reading is not written, but for the single words that make a switch. A packet may be reading
// what it can find now, and what it could find at any time since packets were last waited for.
//
// It needs no packet and no luck: a packet that stays in its program from one step to another is hard to make, but what it
// would read is known.
package watch

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb/tables"
)

// Readers are all packets that could be on their way.
type Readers struct {
	t      *testing.T
	tables *tables.Tables
	// reading is what they may be reading: each word by the address of its first byte, and what it is.
	reading map[*byte]string
	// seen is the memory of the tables after the last step.
	seen   [][]byte
	stores int
	waits  int
	broken bool
}

// Steps watches the steps of tables until End, or the end of the test. After each, it calls also, if that is not nil.
func Steps(t *testing.T, of *tables.Tables, also func(tables.Step)) *Readers {
	r := &Readers{t: t, tables: of}
	r.begin()
	of.Steps.After = func(s tables.Step) {
		r.after(s)
		if also != nil {
			also(s)
			r.seen = r.memory() // packets may have passed
		}
	}
	t.Cleanup(func() { of.Steps.After = nil })
	return r
}

// End stops watching, and returns how many words were stored and how often packets were waited for.
func (r *Readers) End() (stores, waits int) {
	r.tables.Steps.After = nil
	return r.stores, r.waits
}

func (r *Readers) after(s tables.Step) {
	if s.Word == nil {
		r.waits++
		r.begin()
		return
	}
	r.stores++
	if what, read := r.reading[&s.Word[0]]; read && !s.Switch {
		r.fail("%s is written while packets may read it", what)
	}
	r.onlyThere(s)
	if s.Switch {
		r.find()
	}
}

// fail tells the first thing that is wrong: what follows from it would hide it.
func (r *Readers) fail(format string, a ...any) {
	r.t.Helper()
	if !r.broken {
		r.t.Errorf("store %d: %s", r.stores, fmt.Sprintf(format, a...))
	}
	r.broken = true
}

// onlyThere finds out what was stored to without a step.
func (r *Readers) onlyThere(s tables.Step) {
	is := r.memory()
	for i, memory := range r.live() {
		if at := uintptr(unsafe.Pointer(&s.Word[0])) - uintptr(unsafe.Pointer(&memory[0])); at < uintptr(len(memory)) {
			copy(r.seen[i][at:], is[i][at:at+uintptr(len(s.Word))])
		}
		if !bytes.Equal(is[i], r.seen[i]) {
			r.fail("table %d was changed elsewhere", i)
		}
	}
	r.seen = is
}

// live returns the memory of the tables that packets do not write, and of the slots, in which they reset ages.
func (r *Readers) live() [][]byte {
	t := r.tables
	return [][]byte{memory(&t.Slots), memory(&t.Owners), memory(&t.Services), memory(&t.Replicas), memory(&t.Short.Words), memory(&t.Short.Hops),
		memory(&t.RevNats), memory(&t.RetiredCounts)}
}

func (r *Readers) memory() (all [][]byte) {
	for _, memory := range r.live() {
		all = append(all, slices.Clone(memory))
	}
	return all
}

// begin forgets the packets that were on their way.
func (r *Readers) begin() {
	r.reading = map[*byte]string{}
	r.seen = r.memory()
	r.find()
}

// find adds what packets can find now.
func (r *Readers) find() {
	t := r.tables
	for at := range t.ServiceIndex().Rows() {
		row := *t.Services.Row(at)
		read(r, t.Services.Span(at, 1), "row %d of services", at)
		read(r, t.Slots.Span(row.List, row.Replicas), "the list of replicas of row %d of services", at)
		r.slots(row.Offset, row.Size, at)
		r.owners(row, at)
		r.slots(row.PreviousOffset, row.PreviousSize, at)
	}
	for id := range t.RevNatIndex().Rows() {
		read(r, t.RevNats.Span(id, 1), "row %d of rev_nats", id)
	}
	t.Records(func(_ tables.Record, record bpf.Record) { r.replica(record.Replica()) })
}

func (r *Readers) slots(from, n, of uint32) {
	read(r, r.tables.Slots.Span(from, n), "a slot of row %d of services", of)
	for at := from; at < from+n; at++ {
		s := r.tables.Slot(at)
		r.replica(s.Owner())
		r.replica(s.Previous())
	}
}

// owners adds what is read before the slots of a service.
func (r *Readers) owners(row bpf.LbService, of uint32) {
	what := fmt.Sprintf("an owner of a slot of row %d of services", of)
	for at := row.Offset; at < row.Offset+row.Size; at++ {
		owner := &r.tables.Owners.Row(at / bpf.OwnersLine).Owner[at%bpf.OwnersLine]
		r.reading[(*byte)(unsafe.Pointer(owner))] = what
		if *owner != bpf.OwnerElsewhere {
			r.replica(row.FirstReplica + uint32(*owner))
		}
	}
}

// replica adds the row of a replica, without the next hop that is not active.
func (r *Readers) replica(id uint32) {
	if id == bpf.ReplicaNone {
		return
	}
	row := r.tables.Replicas.Row(id)
	hops, sources := bytesOf(row.Hops[:]), bytesOf(row.TunnelSource[:])
	all := bytesOf(r.tables.Replicas.Span(id, 1))
	active, what := int(row.ActiveHop&1), fmt.Sprintf("row %d of replicas", id)
	for at := 0; at < len(all); at += tables.Word {
		where := &all[at]
		hop, inHops := within(where, hops)
		source, inSources := within(where, sources)
		if inHops && hop/(len(hops)/2) != active || inSources && source/(len(sources)/2) != active {
			continue
		}
		r.reading[where] = what
	}
	word, _ := r.tables.Short.Word(id)
	read(r, r.tables.Short.Words.Span(id, 1), "the word of replica %d", id)
	if word.Hop > 0 {
		read(r, r.tables.Short.Hops.Span(uint32(word.Hop-1), 1), "the shared hop of replica %d", id)
	}
}

func within(where *byte, memory []byte) (int, bool) {
	at := uintptr(unsafe.Pointer(where)) - uintptr(unsafe.Pointer(&memory[0]))
	return int(at), at < uintptr(len(memory))
}

func read[T any](r *Readers, rows []T, what string, of uint32) {
	if len(rows) == 0 {
		return
	}
	what = fmt.Sprintf(what, of)
	all := bytesOf(rows)
	for at := 0; at < len(all); at += tables.Word {
		r.reading[&all[at]] = what
	}
}

// memory returns that of a table, mapped.
func memory[T any](t *tables.Table[T]) []byte { return bytesOf(t.Span(0, uint32(t.Len()))) }

// bytesOf returns the memory of rows.
func bytesOf[T any](rows []T) []byte {
	var row T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(rows))), len(rows)*int(unsafe.Sizeof(row)))
}
