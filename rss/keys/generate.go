package keys

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// attempts is how many keys are drawn among those that meet the constraints. The best one is kept.
const attempts = 64

// Wishes are what a key shall do. The zero value, with a length and a table, asks for any key that
// spreads well.
type Wishes struct {
	// Length is the key's in bytes, rss.MinKeyLength to rss.MaxKeyLength.
	Length int
	// Families are those of the packets that the rest is about; none means both.
	Families []Family
	// Only are the fields that count, a subset of rss.FourTuple: packets that agree in them have the
	// same hash. 0 means all.
	Only rss.Fields
	// Symmetric asks for the same hash for a packet and its answer.
	Symmetric bool
	// TwoWays asks for two keys: a packet under the first has the hash of its answer under the
	// second, as two ports need that see one direction each.
	TwoWays bool
	// Spreads are ranges of bits to spread perfectly over the index.
	Spreads []BitRange
	// Table is the size of the indirection table, at least 2, that the key is for.
	Table int
	// IndexOnly asks for equal indexes into the table where the others ask for equal hashes; there are
	// more such keys. Table must be a power of two.
	IndexOnly bool
}

// BitRange is a range of bits of a field; bit 0 is the least significant one.
//
// It is spread perfectly when, for every m up to the width of range and index, 2^m values that differ only in the low m
// bits of the range give 2^m different values of the low m bits of the index: an aligned run of ports is then spread
// evenly over any number of queues that is a power of two.
type BitRange struct {
	Field     rss.Fields
	Low, High int
}

// Made are keys that fulfil wishes.
type Made struct {
	// Keys are one, or two for TwoWays.
	Keys []rss.Key
	// Free is the number of key bits that the wishes left to chance: there are 2^Free such keys, or pairs.
	Free int
}

// ErrNone: no key fulfils the wishes, or every one that does makes fields not count that should.
var ErrNone = errors.New("no such key")

// Generate draws keys that fulfil wishes. It returns an error when the wishes make no sense, and ErrNone.
func Generate(w Wishes, random *rand.Rand) (Made, error) {
	if err := w.validate(); err != nil {
		return Made{}, err
	}
	if w.Only == 0 {
		w.Only = rss.FourTuple
	}
	if len(w.Families) == 0 {
		w.Families = families()
	}
	s := gf2.NewSystem(w.keys() * 8 * w.Length)
	if err := w.state(s); err != nil {
		return Made{}, err
	}
	made, best := Made{Free: s.Unknowns() - s.Rank()}, -1
	for range attempts {
		keys := w.draw(s, random)
		if moved := w.moved(keys); moved > best {
			made.Keys, best = keys, moved
		}
	}
	for n := range made.Keys {
		if field, dead := w.dead(made.Keys, n); dead {
			return Made{}, fmt.Errorf("%w: under all keys of these wishes field %v does not move the index", ErrNone, field)
		}
	}
	return made, nil
}

func (w Wishes) keys() int {
	if w.TwoWays {
		return 2
	}
	return 1
}

// draw makes keys of a random solution.
func (w Wishes) draw(s *gf2.System, random *rand.Rand) []rss.Key {
	x := s.Solution(func(int) bool { return random.Uint64()&1 == 1 })
	keys := make([]rss.Key, w.keys())
	for n := range keys {
		keys[n] = make(rss.Key, w.Length)
		for i := range 8 * w.Length {
			if x.Bit(n*8*w.Length + i) {
				keys[n][i/8] |= 0x80 >> (i % 8)
			}
		}
	}
	return keys
}

// moved returns the sum of the index ranks of the fields that count.
func (w Wishes) moved(keys []rss.Key) int {
	sum := 0
	for n, key := range keys {
		for _, f := range w.Families {
			for _, field := range fields() {
				if w.only(n)&field != 0 {
					sum += indexRank(key, f, field, indexBits(w.Table))
				}
			}
		}
	}
	return sum
}

// dead returns a field that should count under key n but has no effect on the index.
func (w Wishes) dead(keys []rss.Key, n int) (rss.Fields, bool) {
	for _, f := range w.Families {
		for _, field := range fields() {
			if w.only(n)&field != 0 && indexRank(keys[n], f, field, indexBits(w.Table)) == 0 {
				return field, true
			}
		}
	}
	return 0, false
}
