package identify

import (
	"bytes"
	"hash/crc32"
	"math"
	"math/bits"
	"slices"
	"strings"

	"lbctl/rss"
)

// NamedKey is a key that a NIC may have.
type NamedKey struct {
	Name string
	Key  rss.Key
}

// candidate is a hash function without unknowns except the initial value.
type candidate struct {
	function string
	key      NamedKey // of toeplitz
	hash     func(input []byte) uint32
}

// candidates are the functions that are tried for inputs up to this length: Toeplitz under the given keys and those
// of rss.Named, each in several variants, and functions without a key.
func candidates(given []NamedKey, longest int) []candidate {
	var all []candidate
	place := map[string]int{}
	for _, base := range bases(given) {
		for _, k := range variants(base) {
			at, met := place[string(k.Key)]
			switch {
			case !met:
				place[string(k.Key)] = len(all)
				all = append(all, candidate{"toeplitz", k, rss.NewTables(k.Key, longest).Hash})
			case bytes.Equal(k.Key, base.Key) && !strings.HasPrefix(all[at].key.Name, base.Name):
				all[at].key.Name += " = " + base.Name
			}
		}
	}
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	return append(all,
		candidate{function: "xor", hash: rss.XOR},
		candidate{function: "xor8", hash: rss.XOR8},
		candidate{function: "xor8 inverted", hash: func(b []byte) uint32 { return rss.XOR8(b) ^ 0xff }},
		candidate{function: "crc32", hash: crc32.ChecksumIEEE},
		candidate{function: "crc32c", hash: func(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }},
	)
}

// bases are the given keys and those of rss.Named, without repetitions.
func bases(given []NamedKey) (all []NamedKey) {
	for _, name := range rss.KeyNames() {
		k, _ := rss.Named(name)
		given = append(given[:len(given):len(given)], NamedKey{name, k})
	}
	for _, k := range given {
		if !slices.ContainsFunc(all, func(other NamedKey) bool { return bytes.Equal(other.Key, k.Key) }) {
			all = append(all, k)
		}
	}
	return all
}

// variants are a key and the forms in which a driver may write it to a NIC: 32-bit registers in the
// wrong byte order, or the last register first (ENA's layout), bytes or bits numbered from the other end,
// one half written twice.
func variants(base NamedKey) []NamedKey {
	all := []NamedKey{base}
	add := func(name string, change func(key []byte)) {
		key := bytes.Clone(base.Key)
		change(key)
		all = append(all, NamedKey{base.Name + ", " + name, key})
	}
	half := len(base.Key) / 2
	add("byte-reversed", func(key []byte) { slices.Reverse(key) })
	add("bytes of each 32-bit word reversed", func(key []byte) { reverseEach(key, 4) })
	add("32-bit words in reverse order", func(key []byte) { slices.Reverse(key); reverseEach(key, 4) })
	add("bits of each byte reversed", func(key []byte) {
		for i, b := range key {
			key[i] = bits.Reverse8(b)
		}
	})
	add("first half duplicated", func(key []byte) { copy(key[half:], key[:half]) })
	add("second half duplicated", func(key []byte) { copy(key[:half], key[len(key)-half:]) })
	return all
}

// known is a candidate that fits a view.
type known struct {
	candidate
	Arrangement
	initial  uint32
	table    rss.Table // nil if hashes were observed
	fields   []rss.Fields
	wrong    []int
	evidence float64
}

// inputs are the inputs of a view's observations, by group and subset. All candidates share them.
type inputs [][][][]byte

func (f *facts) inputs(a Arrangement, v view) inputs {
	all := make(inputs, len(v.groups))
	for n, g := range v.groups {
		all[n] = make([][][]byte, len(g.subsets))
		for s, fields := range g.subsets {
			all[n][s] = make([][]byte, len(g.members))
			for m, i := range g.members {
				all[n][s][m] = a.input(&f.observations[i], fields)
			}
		}
	}
	return all
}

// fitKnown returns the candidates that fit a view.
func fitKnown(f *facts, a Arrangement, v view, all []candidate) (fits []known) {
	if len(all) == 0 {
		return nil
	}
	in := f.inputs(a, v)
	tables := f.tables
	if f.byHash {
		tables = []rss.Table{nil}
	}
	for _, c := range all {
		tried := f.trial(c.key.Key)
		for _, initial := range f.initials(a, v, c, in) {
			for _, table := range tables {
				k := known{candidate: c, Arrangement: a, initial: initial, table: table}
				tried.ways++
				if k.fit(f, v, in) {
					tried.fits++
					fits = append(fits, k)
				}
			}
		}
	}
	return fits
}

// initials are the initial values that are tried: 0, ENA's default of all ones, and, where hashes were
// observed, those that at least two of the first observations of the largest group agree on.
func (f *facts) initials(a Arrangement, v view, c candidate, in inputs) []uint32 {
	all := []uint32{0, math.MaxUint32}
	if !f.byHash {
		return all
	}
	for s := range v.groups[0].subsets {
		votes := map[uint32]int{}
		for m, i := range v.groups[0].members[:min(9, len(v.groups[0].members))] {
			initial := (a.Output.undo(f.observations[i].Hash) ^ c.hash(in[0][s][m])) & a.Output.undo(f.use)
			if votes[initial]++; votes[initial] == 2 && !slices.Contains(all, initial) {
				all = append(all, initial)
			}
		}
	}
	return all
}

// fit finds the fields of each group under which no more observations contradict than the view tolerates.
func (k *known) fit(f *facts, v view, in inputs) bool {
	for n, g := range v.groups {
		best, fields := v.spare(g)+1, rss.Fields(0)
		var wrong []int
		for s, subset := range g.subsets {
			var against []int
			for m, i := range g.members {
				if !f.matches(i, k.Output.undo(k.hash(in[n][s][m])^k.initial), k.table) {
					if against = append(against, i); len(against) >= best {
						break
					}
				}
			}
			if len(against) < best {
				best, fields, wrong = len(against), subset, against
			}
		}
		if best > v.spare(g) {
			return false
		}
		k.fields = append(k.fields, fields)
		k.wrong = append(k.wrong, wrong...)
	}
	k.evidence = f.bitsEach() * float64(v.size()-len(k.wrong))
	if k.initial != 0 && k.initial != math.MaxUint32 {
		k.evidence -= 32
	}
	return true
}
