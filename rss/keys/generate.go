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

// Constraints are what a key must do. With only a length and a table, any key that spreads well
// will do.
type Constraints struct {
	// Length is the length of the key in bytes, rss.MinKeyLength to rss.MaxKeyLength.
	Length int
	// Families are the families of the packets that the other constraints apply to; none means both.
	Families []Family
	// Only are the fields that affect the hash, a subset of rss.FourTuple: packets that agree in them have the
	// same hash. 0 means all.
	Only rss.Fields
	// Symmetric requires the same hash for both directions of a flow.
	Symmetric bool
	// TwoWays requires two keys, for two interfaces that each receive one direction: a packet under the first key has the
	// hash of the opposite direction under the second.
	TwoWays bool
	// Spreads are ranges of bits to spread perfectly over the index.
	Spreads []BitRange
	// Table is the size of the indirection table that the key is for, at least 2.
	Table int
	// IndexOnly requires equal indexes into the table instead of equal hashes, which more keys
	// achieve. Table must be a power of two.
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

// Generated are keys that meet constraints.
type Generated struct {
	// Keys is one key, or two for TwoWays.
	Keys []rss.Key
	// Free is the number of key bits that the constraints leave open: there are 2^Free such keys, or pairs.
	Free int
}

// ErrNone: no key meets the constraints, or with every key that does a field has no effect that should.
var ErrNone = errors.New("no such key")

// Generate draws keys that meet constraints. It returns an error for invalid constraints, and ErrNone.
func Generate(c Constraints, random *rand.Rand) (Generated, error) {
	if err := c.validate(); err != nil {
		return Generated{}, err
	}
	if c.Only == 0 {
		c.Only = rss.FourTuple
	}
	if len(c.Families) == 0 {
		c.Families = families()
	}
	s := gf2.NewSystem(c.keys() * 8 * c.Length)
	if err := c.state(s); err != nil {
		return Generated{}, err
	}
	made, best := Generated{Free: s.Unknowns() - s.Rank()}, -1
	for range attempts {
		keys := c.draw(s, random)
		if moved := c.moved(keys); moved > best {
			made.Keys, best = keys, moved
		}
	}
	for n := range made.Keys {
		if field, dead := c.dead(made.Keys, n); dead {
			return Generated{}, fmt.Errorf("%w: under all keys that meet the constraints field %v does not change the index", ErrNone, field)
		}
	}
	return made, nil
}

func (c Constraints) keys() int {
	if c.TwoWays {
		return 2
	}
	return 1
}

// draw makes keys of a random solution.
func (c Constraints) draw(s *gf2.System, random *rand.Rand) []rss.Key {
	x := s.Solution(func(int) bool { return random.Uint64()&1 == 1 })
	keys := make([]rss.Key, c.keys())
	for n := range keys {
		keys[n] = make(rss.Key, c.Length)
		for i := range 8 * c.Length {
			if x.Bit(n*8*c.Length + i) {
				keys[n][i/8] |= 0x80 >> (i % 8)
			}
		}
	}
	return keys
}

// moved returns the sum of the index ranks of the fields that count.
func (c Constraints) moved(keys []rss.Key) int {
	sum := 0
	for n, key := range keys {
		for _, f := range c.Families {
			for _, field := range fields() {
				if c.only(n)&field != 0 {
					sum += indexRank(key, f, field, indexBits(c.Table))
				}
			}
		}
	}
	return sum
}

// dead returns a field that should count under key n but has no effect on the index.
func (c Constraints) dead(keys []rss.Key, n int) (rss.Fields, bool) {
	for _, f := range c.Families {
		for _, field := range fields() {
			if c.only(n)&field != 0 && indexRank(keys[n], f, field, indexBits(c.Table)) == 0 {
				return field, true
			}
		}
	}
	return 0, false
}
