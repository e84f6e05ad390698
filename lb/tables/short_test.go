package tables

import (
	"testing"

	"lbctl/bpf"
)

// briefed returns tables of so many replicas, at 10.0.0.ID, that are all reached by the hop with this MAC address, and of rows for
// so many hops.
func briefed(replicas, hops int, mac byte) (*Tables, *Grace) {
	t, g := &Tables{}, &Grace{}
	t.Replicas = inMemory[bpf.LbReplica](replicas)
	for id := range uint32(t.Replicas.Len()) {
		row := t.Replicas.Row(id)
		row.Address, row.IpVersion, row.State = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: byte(id)}, 4, uint8(bpf.LbReplicaStateREPLICA_ACTIVE)
		row.Hops[0] = hopTo(mac).LbHop
	}
	t.Short.Words, t.Short.Hops = inMemory[bpf.LbShortReplica](replicas), inMemory[bpf.LbSharedHop](hops)
	t.Short.open()
	t.DeferWith(g)
	for id := range uint32(t.Replicas.Len()) {
		t.ShortenReplica(id)
	}
	return t, g
}

// inMemory returns a table that no packet reads.
func inMemory[T any](rows int) Table[T] {
	return Table[T]{rows: make([]T, rows), mapped: []bool{true}, shift: 31}
}

func hopTo(mac byte) Hop {
	return Hop{LbHop: bpf.LbHop{Destination: [6]byte{5: mac}, Ifindex: 1, Mtu: 1500, State: uint8(bpf.LbHopStateHOP_RESOLVED)}}
}

// macs are what the words of all replicas say; 0: packets look at the row.
func macs(t *Tables) (all []byte) {
	for id := range uint32(t.Replicas.Len()) {
		word, _ := t.Short.Word(id)
		all = append(all, t.Short.Hop(word).Hop.Destination[5])
	}
	return all
}

// Replicas with the same next hop share one row, and one that none has any more is not written before packets were waited for.
func TestSharedHops(t *testing.T) {
	tables, grace := briefed(3, 2, 1)
	if got := string(macs(tables)); got != "\x01\x01\x01" || len(tables.Short.shared) != 1 {
		t.Errorf("hops %x, %d rows", got, len(tables.Short.shared))
	}
	for id := range uint32(3) {
		tables.FlipHop(id, hopTo(2))
	}
	if got := string(macs(tables)); got != "\x02\x02\x02" || len(tables.Short.shared) != 1 {
		t.Errorf("after a change: hops %x, %d rows", got, len(tables.Short.shared))
	}
	tables.FlipHop(0, hopTo(3))
	if got := string(macs(tables)); got != "\x00\x02\x02" {
		t.Errorf("hops %x: the row of the first hop may still be read, and there is no other", got)
	}
	if !tables.Short.Low() {
		t.Error("nothing is to be reclaimed")
	}
	grace.Free()
	if tables.Short.Low() {
		t.Error("something is to be reclaimed, and nothing is retired")
	}
	tables.ShortenReplica(0)
	if got := string(macs(tables)); got != "\x03\x02\x02" {
		t.Errorf("hops %x after packets were waited for", got)
	}
}

// Packets look at the row of a replica that has no resolved hop, is IPv6 or not active, or to which a router has told an MTU.
func TestShortOnlyWhereItSaysAll(t *testing.T) {
	for name, edit := range map[string]func(*bpf.LbReplica){
		"unresolved": func(r *bpf.LbReplica) { r.Hops[0].State = uint8(bpf.LbHopStateHOP_UNRESOLVED) },
		"IPv6":       func(r *bpf.LbReplica) { r.IpVersion = 6 },
		"draining":   func(r *bpf.LbReplica) { r.State = uint8(bpf.LbReplicaStateREPLICA_DRAINING) },
		"a path MTU": func(r *bpf.LbReplica) { r.PathMtu = 1<<16 | 1400 },
	} {
		tables, _ := briefed(2, 2, 1)
		edit(tables.Replicas.Row(1))
		tables.ShortenReplica(1)
		if got := string(macs(tables)); got != "\x01\x00" {
			t.Errorf("%s: hops %x", name, got)
		}
	}
}

// The next process takes over what words say, but not where the row says something else; and it writes no hop before packets were
// waited for.
func TestAdoptSharedHops(t *testing.T) {
	was, _ := briefed(4, 4, 1)
	was.FlipHop(1, hopTo(2))
	was.Replicas.Row(0).Hops[0] = hopTo(3).LbHop // it ended before it wrote the word
	is := &Tables{Replicas: was.Replicas}
	is.Short.Words, is.Short.Hops = was.Short.Words, was.Short.Hops
	is.Short.open()
	is.DeferWith(&Grace{})
	is.Adopt()
	is.ShortenReplica(0)
	if got := string(macs(is)); got != "\x00\x02\x01\x01" {
		t.Errorf("hops %x", got)
	}
	is.Adopted()
	is.ShortenReplica(0)
	if got := string(macs(is)); got != "\x03\x02\x01\x01" {
		t.Errorf("hops %x after packets were waited for", got)
	}
	users := 0
	is.Short.InUse(func(_ uint32, _ bpf.LbSharedHop, n int) { users += n })
	if users != 4 || len(is.Short.shared) != 3 {
		t.Errorf("%d users of %d rows, want 4 of 3", users, len(is.Short.shared))
	}
}
