package datapath

import (
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
)

// crowded returns a datapath with a Maglev table in transition of 65,537 slots, and with tables of
// records of the default size that are half full.
func crowded(b *testing.B) *Datapath {
	inNamespace(b)
	veth(b, "up", "10.1.0.254/24")
	d := open(b, Options{manualClock: true})
	full, less := hundred(lb.TrackChanges)
	for _, s := range []lb.Service{full, less} {
		if err := d.SetService(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	e := d.services[full.VIP]
	for _, table := range d.tables.stages() {
		for i := range table.lines {
			for entry := range bpf.RecordEntries / 2 {
				hash := uint32(i*bpf.RecordEntries+entry) * 0x9e3779b9
				table.lines[i].Entry[entry] = uint64(hash)<<32 | uint64(d.tables.readSlot(e.row.Offset+hash%e.row.Size).Owner())
			}
		}
	}
	return d
}

// BenchmarkSweep makes 655,360 flows and 65,537 slots a step older.
func BenchmarkSweep(b *testing.B) {
	d := crowded(b)
	if err := d.awaitReaders(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		d.tables.records(func(p recordAt, r bpf.Record) { *p.word = uint64(r.WithAge(0)) })
		if err := d.sweep(10 * time.Minute / lb.IdleSteps); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFlows counts the same.
func BenchmarkFlows(b *testing.B) {
	d := crowded(b)
	for b.Loop() {
		if _, err := d.Flows(); err != nil {
			b.Fatal(err)
		}
	}
}
