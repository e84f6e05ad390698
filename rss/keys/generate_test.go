package keys

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"lbctl/rss"
)

// seed makes the keys of these tests.
const seed = 7

func source(t *testing.T) *rand.Rand {
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// flows are random flows of both families, made without this package.
func flows(r *rand.Rand, n int) [][2]netip.AddrPort {
	all := make([][2]netip.AddrPort, n)
	for i := range all {
		for end := range 2 {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], r.Uint64())
			binary.BigEndian.PutUint64(b[8:], r.Uint64())
			a := netip.AddrFrom16(b)
			if i%2 == 0 {
				a = netip.AddrFrom4([4]byte(b[:4]))
			}
			all[i][end] = netip.AddrPortFrom(a, uint16(r.Uint32()))
		}
	}
	return all
}

func hash(key rss.Key, source, destination netip.AddrPort) uint32 {
	return rss.Toeplitz(key, rss.AppendTuple(nil, source, destination))
}

func generate(t *testing.T, w Constraints, r *rand.Rand) Generated {
	t.Helper()
	made, err := Generate(w, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range made.Keys {
		if len(k) != w.Length {
			t.Fatalf("key of %d bytes, want %d", len(k), w.Length)
		}
	}
	return made
}

func TestGenerateSymmetric(t *testing.T) {
	r := source(t)
	for _, w := range []Constraints{
		{Length: 40, Symmetric: true, Table: 128},
		{Length: 52, Symmetric: true, Table: 512},
		{Length: 40, Symmetric: true, Table: 128, IndexOnly: true},
		{Length: 40, Symmetric: true, Table: 128, Only: rss.Addresses},
	} {
		made, mask := generate(t, w, r), uint32(1<<32-1)
		if w.IndexOnly {
			mask = uint32(w.Table - 1)
		}
		for _, f := range flows(r, 200) {
			there, back := hash(made.Keys[0], f[0], f[1]), hash(made.Keys[0], f[1], f[0])
			if (there^back)&mask != 0 {
				t.Fatalf("%+v: %v has hash %08x, its answer %08x, under %v", w, f, there, back, made.Keys[0])
			}
		}
	}
	full := generate(t, Constraints{Length: 40, Symmetric: true, Table: 128}, r)
	index := generate(t, Constraints{Length: 40, Symmetric: true, Table: 128, IndexOnly: true}, r)
	if index.Free <= full.Free || full.Free < 16 {
		t.Errorf("%d bits are free for equal hashes, %d for equal indexes", full.Free, index.Free)
	}
}

func TestGenerateTwoWays(t *testing.T) {
	r := source(t)
	made := generate(t, Constraints{Length: 40, TwoWays: true, Table: 128}, r)
	differ := 0
	for _, f := range flows(r, 200) {
		there, back := hash(made.Keys[0], f[0], f[1]), hash(made.Keys[1], f[1], f[0])
		if there != back {
			t.Fatalf("%v has hash %08x under %v, its answer %08x under %v", f, there, made.Keys[0], back, made.Keys[1])
		}
		if there != hash(made.Keys[0], f[1], f[0]) {
			differ++
		}
	}
	if differ < 190 {
		t.Errorf("the first key alone tells only %d of 200 flows from their answers", differ)
	}
}

// TestGenerateOnly: excluded fields have no effect, the others do; under the second of two keys the
// mirrored fields.
func TestGenerateOnly(t *testing.T) {
	r := source(t)
	for _, w := range []Constraints{
		{Length: 40, Only: rss.SourceAddress | rss.DestinationPort, Table: 128},
		{Length: 40, Only: rss.DestinationAddress | rss.DestinationPort, Table: 128, IndexOnly: true, Families: []Family{IPv4}},
		{Length: 40, Only: rss.Addresses, TwoWays: true, Table: 128},
		{Length: 52, Only: rss.Addresses | rss.SourcePort, TwoWays: true, Table: 64, IndexOnly: true},
	} {
		made, mask := generate(t, w, r), uint32(1<<32-1)
		if w.IndexOnly {
			mask = uint32(w.Table - 1)
		}
		counts, n, last := 0, 0, uint32(0)
		for _, f := range flows(r, 100) {
			if f[0].Addr().Is6() && w.Families != nil {
				continue
			}
			same := f
			for end := range same { // other values where they shall not count
				other := flows(r, 2)[map[bool]int{true: 0, false: 1}[f[0].Addr().Is4()]][end]
				address, port := rss.SourceAddress<<end, rss.SourcePort<<end
				if w.Only&address == 0 {
					same[end] = netip.AddrPortFrom(other.Addr(), same[end].Port())
				}
				if w.Only&port == 0 {
					same[end] = netip.AddrPortFrom(same[end].Addr(), other.Port())
				}
			}
			h := hash(made.Keys[0], f[0], f[1]) & mask
			if got := hash(made.Keys[0], same[0], same[1]) & mask; got != h {
				t.Fatalf("%+v: %v and %v have %08x and %08x", w, f, same, h, got)
			}
			if got := hash(made.Keys[len(made.Keys)-1], same[1], same[0]) & mask; w.TwoWays && got != h {
				t.Fatalf("%+v: %v and the answer of %v have %08x and %08x", w, f, same, h, got)
			}
			if n++; n > 1 && h != last {
				counts++
			}
			last = h
		}
		if counts < n/2 {
			t.Errorf("%+v: the fields that count tell only %d of %d flows apart", w, counts, n)
		}
	}
	impossible := Constraints{Length: 40, Only: rss.DestinationAddress, Table: 128}
	if made, err := Generate(impossible, r); !errors.Is(err, ErrNone) {
		t.Errorf("both families at once: %v, %v", made, err)
	}
}

// TestGenerateSpread counts that every aligned run of 2^m values gives all values of the low m bits of the
// index once, for every m and any other fields.
func TestGenerateSpread(t *testing.T) {
	r := source(t)
	for _, w := range []Constraints{
		{Length: 40, Table: 128, Spreads: []BitRange{{rss.SourcePort, 0, 15}}},
		{Length: 40, Table: 4096, Spreads: []BitRange{{rss.SourcePort, 1, 12}}},
		{Length: 40, Table: 64, Spreads: []BitRange{{rss.SourceAddress, 0, 7}, {rss.DestinationPort, 0, 3}}},
		{Length: 40, Table: 128, Symmetric: true, Spreads: []BitRange{{rss.SourcePort, 0, 6}}},
	} {
		made := generate(t, w, r)
		for _, f := range flows(r, 20) {
			for _, s := range w.Spreads {
				checkSpread(t, made.Keys[0], w.Table, s, f)
			}
		}
	}
}

func checkSpread(t *testing.T, key rss.Key, table int, s BitRange, f [2]netip.AddrPort) {
	t.Helper()
	input := rss.AppendTuple(nil, f[0], f[1])
	end := map[rss.Fields]int{
		rss.SourceAddress: (len(input) - 4) / 2, rss.DestinationAddress: len(input) - 4,
		rss.SourcePort: len(input) - 2, rss.DestinationPort: len(input),
	}[s.Field]
	field := input[end-2 : end]
	for m := 1; m <= min(s.High-s.Low+1, bits.Len(uint(table))-1); m++ {
		base := binary.BigEndian.Uint16(field) &^ (uint16(1)<<(s.Low+m) - 1<<s.Low)
		seen := map[uint32]bool{}
		for v := range uint16(1) << m {
			binary.BigEndian.PutUint16(field, base|v<<s.Low)
			seen[rss.Toeplitz(key, input)&(1<<m-1)] = true
		}
		if len(seen) != 1<<m {
			t.Fatalf("%d values of field %v from bit %d on reach %d of %d indexes under %v", 1<<m, s.Field, s.Low, len(seen), 1<<m, key)
		}
	}
}

func TestGenerateRandom(t *testing.T) {
	w := Constraints{Length: 52, Table: 4096}
	a, b := generate(t, w, source(t)), generate(t, w, source(t))
	if !slices.Equal(a.Keys[0], b.Keys[0]) || a.Free != 8*52 {
		t.Errorf("the same seed gives %v and %v; %d bits free", a.Keys[0], b.Keys[0], a.Free)
	}
	for _, r := range Analyse(a.Keys[0]).Ranks {
		for i, n := range r.Bits {
			if n < 6+i {
				t.Errorf("%v %v moves %d of %d bits of the index", r.Family, r.Field, n, 6+i)
			}
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		w     Constraints
		error string
	}{
		{"short", Constraints{Length: 39, Table: 128}, "rss key of 39 bytes: want 40 to 256"},
		{"long", Constraints{Length: 257, Table: 128}, "rss key of 257 bytes: want 40 to 256"},
		{"table", Constraints{Length: 40, Table: 1}, "indirection table of 1 entries: want 2 to 65536"},
		{"odd index", Constraints{Length: 40, Table: 48, IndexOnly: true}, "equal indexes into a table of 48 entries: want a power of two"},
		{"other fields", Constraints{Length: 40, Table: 128, Only: 1 << 2}, "want letters of sdfn"},
		{"one-sided", Constraints{Length: 40, Table: 128, Symmetric: true, Only: rss.SourceAddress}, "symmetric over fields s: want both ends' addresses, ports, or all"},
		{"one and two", Constraints{Length: 40, Table: 128, Symmetric: true, TwoWays: true}, "one symmetric key and a pair of keys: want one of the two"},
		{"two fields in a range", Constraints{Length: 40, Table: 128, Spreads: []BitRange{{rss.Addresses, 0, 3}}}, "spread field sd: want one of s, d, f, n"},
		{"family", Constraints{Length: 40, Table: 128, Families: []Family{5}}, "address family 5: want 4 or 6"},
		{"range too high", Constraints{Length: 40, Table: 128, Spreads: []BitRange{{rss.SourcePort, 10, 16}}}, "spread bits 10 to 16 of field f: want 0 to 15, the lower one first"},
		{"range backwards", Constraints{Length: 40, Table: 128, Spreads: []BitRange{{rss.SourcePort, 3, 2}}}, "spread bits 3 to 2 of field f"},
		{"range of a field without effect", Constraints{Length: 40, Table: 128, Only: rss.Addresses, Spreads: []BitRange{{rss.SourcePort, 0, 6}}}, "spread field f, which is not one of the fields sd that count"},
		{"two spreads that exclude each other", Constraints{Length: 40, Table: 128, Spreads: []BitRange{{rss.SourcePort, 0, 6}, {rss.SourcePort, 1, 7}, {rss.SourcePort, 2, 8}, {rss.SourcePort, 3, 9}}}, "no such key: none spreads bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			made, err := Generate(c.w, source(t))
			if err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("got %v, %v; want an error with %q", made, err, c.error)
			}
		})
	}
}
