package keys

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
)

// TestRanksByCounting varies a field and counts the entries that are reached.
func TestRanksByCounting(t *testing.T) {
	symmetric, _ := rss.Named("symmetric")
	for _, key := range []rss.Key{rss.MicrosoftKey(), symmetric, bytes.Repeat([]byte{0xff}, 40)} {
		tables := rss.NewTables(key, rss.IPv6TupleLength)
		for _, r := range Analyse(key).Ranks {
			f := flows(source(t), 2)[map[Family]int{IPv4: 0, IPv6: 1}[r.Family]]
			var hashes []uint32
			for v := range uint16(1<<16 - 1) {
				hashes = append(hashes, tables.Hash(rss.AppendTuple(nil,
					with(f[0], r.Field == rss.SourceAddress, r.Field == rss.SourcePort, v),
					with(f[1], r.Field == rss.DestinationAddress, r.Field == rss.DestinationPort, v))))
			}
			for i, size := range TableSizes() {
				reached := make([]bool, size)
				entries := 0
				for _, h := range hashes {
					if e := int(h) % size; !reached[e] {
						reached[e] = true
						entries++
					}
				}
				// Only 16 bits of an address were varied, so this is a lower bound.
				port := r.Field == rss.SourcePort || r.Field == rss.DestinationPort
				if got := bits.Len(uint(entries)) - 1; got > r.Bits[i] || port && got != r.Bits[i] {
					t.Errorf("key %v: %v %v reaches %d of %d entries, analysis says 2^%d", key[:4], r.Family, r.Field, entries, size, r.Bits[i])
				}
			}
		}
	}
}

// with puts a value into the last bits of an address or into a port.
func with(a netip.AddrPort, address, port bool, v uint16) netip.AddrPort {
	if address {
		b := a.Addr().AsSlice()
		binary.BigEndian.PutUint16(b[len(b)-2:], v)
		x, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(x, a.Port())
	}
	if port {
		return netip.AddrPortFrom(a.Addr(), v)
	}
	return a
}

func TestAnalyse(t *testing.T) {
	symmetric, _ := rss.Named("symmetric")
	random := rss.MicrosoftKey()
	index := generate(t, Constraints{Length: 40, Symmetric: true, Table: 128, IndexOnly: true}, source(t)).Keys[0]
	for _, c := range []struct {
		name     string
		key      rss.Key
		period   int
		halves   bool
		lowBits4 int // of IPv4 4-tuples
	}{
		{"ms", random, 0, false, 0},
		{"symmetric", symmetric, 16, true, 32},
		{"zeros", make(rss.Key, 40), 1, true, 32},
		{"twice", append(random[:20:20], random[:20]...), 160, true, 0},
		{"a bit off at the end", append(symmetric[:39:39], symmetric[39]^1), 0, false, 32},
		{"symmetric index", index, 0, false, 7},
		{"odd", bytes.Repeat([]byte{0x6d}, 41), 8, false, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Analyse(c.key)
			if a.Period != c.period || a.HalvesEqual != c.halves {
				t.Errorf("period %d, halves equal %v; want %d, %v", a.Period, a.HalvesEqual, c.period, c.halves)
			}
			for _, s := range a.Symmetries {
				if s.Family == IPv4 && s.Fields == rss.FourTuple && s.LowBits != c.lowBits4 {
					t.Errorf("%d low bits are symmetric, want %d", s.LowBits, c.lowBits4)
				}
				checkSymmetry(t, c.key, s)
			}
		})
	}
}

// checkSymmetry checks that exactly as many low bits as the analysis says agree in all flows.
func checkSymmetry(t *testing.T, key rss.Key, s Symmetry) {
	t.Helper()
	var differ uint32
	for _, f := range flows(source(t), 200) {
		if f[0].Addr().Is4() != (s.Family == IPv4) {
			continue
		}
		if s.Fields == rss.Addresses {
			f[0], f[1] = netip.AddrPortFrom(f[0].Addr(), 0), netip.AddrPortFrom(f[1].Addr(), 0)
		}
		differ |= hash(key, f[0], f[1]) ^ hash(key, f[1], f[0])
	}
	if got := bits.TrailingZeros32(differ); got != s.LowBits {
		t.Errorf("%v %v: %d low bits are symmetric, analysis says %d", s.Family, s.Fields, got, s.LowBits)
	}
}

func TestSpread(t *testing.T) {
	table, err := rss.EqualTable(128, 4)
	if err != nil {
		t.Fatal(err)
	}
	// A key whose windows of the source port are zero sends a client to one queue.
	blind := rss.MicrosoftKey()
	for i := 64; i < 64+16+31; i++ {
		blind[i/8] &^= 0x80 >> (i % 8)
	}
	all, err := Spread(blind, table)
	if err != nil {
		t.Fatal(err)
	}
	if c := all[0]; c.Hashes != 1 || c.Entries != 1 || c.Queues != 1 || c.AllAfter != 0 || c.Imbalance != 4 || c.Imbalance <= c.Bound {
		t.Errorf("a key that is blind for ports: %+v", c)
	}
	if all, err = Spread(rss.MicrosoftKey(), table); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Queues != 4 || c.AllAfter < 4 || c.Hashes != c.Flows && c.Flows == 256 {
			t.Errorf("Microsoft's key: %+v", c)
		}
	}
	if _, err := Spread(blind, nil); err == nil {
		t.Error("an empty table is accepted")
	}
}

func TestSourcePorts(t *testing.T) {
	table, err := rss.EqualTable(128, 4)
	if err != nil {
		t.Fatal(err)
	}
	symmetric, _ := rss.Named("symmetric")
	for _, c := range []struct {
		name string
		key  rss.Key
		want Attack
	}{
		{"ms", rss.MicrosoftKey(), Attack{Fewest: 16384, Most: 16384, Tries: 4, Probes: 8}},
		{"zeros", make(rss.Key, 40), Attack{Fewest: 0, Most: 65536, Tries: 1, Probes: 1}},
		{"symmetric", symmetric, Attack{Fewest: 16384, Most: 16384, Tries: 4, Probes: 8}},
	} {
		if got, err := SourcePorts(c.key, table); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
	if _, err := SourcePorts(symmetric, nil); err == nil {
		t.Error("an empty table is accepted")
	}
}

// TestBlind flips every bit of every field and compares the index.
func TestBlind(t *testing.T) {
	made := generate(t, Constraints{Length: 40, Only: rss.SourceAddress | rss.DestinationPort, Table: 128}, source(t))
	key := made.Keys[0]
	for _, f := range families() {
		for _, field := range fields() {
			var want []bool
			offset, width := f.span(field)
			for bit := range width {
				input := make([]byte, rss.IPv6TupleLength)
				at := offset + width - 1 - bit
				input[at/8] = 0x80 >> (at % 8)
				want = append(want, rss.Toeplitz(key, input)%128 == 0)
			}
			got := make([]bool, width)
			for _, r := range Blind(key, f, field, 128) {
				for bit := r.Low; bit <= r.High; bit++ {
					got[bit] = true
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v %v (-want +got):\n%s", f, field, diff)
			}
		}
	}
}
