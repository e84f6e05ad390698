package identify

import (
	"bytes"
	"hash/crc32"
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
