package flows

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"lbctl/rss/packet"
)

func drawFlow(t *rapid.T) packet.Flow {
	bytes := rapid.SampledFrom([]int{4, 16}).Draw(t, "bytes")
	end := func(name string) netip.AddrPort {
		// few values, so that flows repeat and differ in one field
		addr := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 255}), bytes, bytes).Draw(t, name)
		a, _ := netip.AddrFromSlice(addr)
		return netip.AddrPortFrom(a, rapid.SampledFrom([]uint16{0, 1, 256, 65535}).Draw(t, "port"))
	}
	return packet.Flow{
		Source: end("source"), Destination: end("destination"),
		Protocol: packet.Protocol(rapid.SampledFrom([]byte{0, 6, 17, 255}).Draw(t, "protocol")),
	}
}

func TestKeyIsTheFlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFlow(t)
		k := KeyOf(&f)
		if got := k.Flow(); got != f {
			t.Errorf("flow of key of %v = %v", f, got)
		}
		reverse := k.Reverse()
		if got := reverse.Flow(); got != f.Reverse() {
			t.Errorf("reverse of %v = %v", f, got)
		}
	})
}

// ::ffff:1.2.3.4 and 1.2.3.4 are different flows.
func TestKeyKeepsFamiliesApart(t *testing.T) {
	four := packet.Flow{Source: netip.MustParseAddrPort("1.2.3.4:5"), Destination: netip.MustParseAddrPort("6.7.8.9:10")}
	six := packet.Flow{
		Source:      netip.MustParseAddrPort("[102:304::]:5"),
		Destination: netip.MustParseAddrPort("[607:809::]:10"),
	}
	if KeyOf(&four) == KeyOf(&six) {
		t.Error("flows of two families have one key")
	}
}

// The table does what a map does, in the order of arrival.
func TestTableAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, want, order := New(), map[packet.Flow]uint64{}, []packet.Flow{}
		for range rapid.IntRange(0, 300).Draw(t, "packets") {
			f := drawFlow(t)
			k := KeyOf(&f)
			before := table.Len()
			number, e, err := table.Get(&k)
			added := table.Len() > before
			if table.At(number) != e {
				t.Fatalf("Get(%v): entry %d is another", f, number)
			}
			if _, known := want[f]; known == added || err != nil {
				t.Fatalf("Get(%v): added %v, error %v, known before %v", f, added, err, known)
			}
			if added {
				order = append(order, f)
			}
			e.Packets++
			want[f]++
		}
		if table.Len() != len(order) {
			t.Fatalf("%d entries, want %d", table.Len(), len(order))
		}
		for i, e := range table.All() {
			if f := e.Key().Flow(); f != order[i] || e.Packets != want[f] || at(table, e.Key()) != e {
				t.Errorf("entry %d: %v with %d packets, want %v with %d", i, f, e.Packets, order[i], want[order[i]])
			}
		}
	})
}

// Entries stay where they are and are found while the index grows.
func TestTableGrows(t *testing.T) {
	const n = 200_000
	table := New()
	_, first, _ := table.Get(&Key{})
	for i := range n {
		k := numbered(i)
		number, e, err := table.Get(&k)
		if number != i+1 || err != nil {
			t.Fatalf("flow %d: number %d, %v", i, number, err)
		}
		e.Packets = uint64(i)
	}
	if at(table, &Key{}) != first {
		t.Error("the first entry has moved")
	}
	for i := range n {
		k := numbered(i)
		if e := at(table, &k); e == nil || e.Packets != uint64(i) {
			t.Fatalf("flow %d: %+v", i, e)
		}
	}
	if k := numbered(n); at(table, &k) != nil {
		t.Error("found a flow that was not added")
	}
}

func TestEntryIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Entry{}); size != 64 {
		t.Errorf("an entry has %d bytes, want 64", size)
	}
}

// at returns the entry of a key, nil when there is none.
func at(t *Table, k *Key) *Entry {
	if n, found := t.Find(k); found {
		return t.At(n)
	}
	return nil
}

// numbered returns one of many keys.
func numbered(i int) (k Key) {
	k[0], k[1], k[2], k[3], k[familyAt] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i), 4
	return k
}

func BenchmarkGet(b *testing.B) {
	for _, flows := range []int{100, 100_000, 10_000_000} {
		b.Run("flows="+map[int]string{100: "100", 100_000: "100k", 10_000_000: "10M"}[flows], func(b *testing.B) {
			table, random := New(), rand.New(rand.NewPCG(1, 1))
			for i := range flows {
				k := numbered(i)
				_, _, _ = table.Get(&k)
			}
			b.ReportAllocs()
			for b.Loop() {
				k := numbered(random.IntN(flows))
				_, e, _ := table.Get(&k)
				e.Packets++
			}
		})
	}
}

func BenchmarkWarm(b *testing.B) {
	for _, flows := range []int{100, 100_000, 10_000_000} {
		b.Run("flows="+map[int]string{100: "100", 100_000: "100k", 10_000_000: "10M"}[flows], func(b *testing.B) {
			table, random := New(), rand.New(rand.NewPCG(1, 1))
			for i := range flows {
				k := numbered(i)
				_, _, _ = table.Get(&k)
			}
			keys := make([]Key, MaxWarm)
			n := 0
			for b.Loop() {
				if n == 0 {
					n = len(keys)
					for i := range keys {
						keys[i] = numbered(random.IntN(flows))
					}
					table.Warm(keys)
				}
				n--
				_, e, _ := table.Get(&keys[n])
				e.Packets++
			}
		})
	}
}
