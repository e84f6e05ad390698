package keys

import (
	"fmt"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

func (c Constraints) validate() error {
	switch {
	case c.Length < rss.MinKeyLength || c.Length > rss.MaxKeyLength:
		return fmt.Errorf("rss key of %d bytes: want %d to %d", c.Length, rss.MinKeyLength, rss.MaxKeyLength)
	case c.Table < 2 || c.Table > rss.MaxTableSize:
		return fmt.Errorf("indirection table of %d entries: want 2 to %d", c.Table, rss.MaxTableSize)
	case c.IndexOnly && indexBits(c.Table) == 32:
		return fmt.Errorf("equal indexes into a table of %d entries: want a power of two", c.Table)
	case c.Only&^rss.FourTuple != 0:
		return fmt.Errorf("hash fields %v: want letters of sdfn", c.Only)
	case c.Symmetric && c.TwoWays:
		return fmt.Errorf("one symmetric key and a pair of keys: want one of the two")
	}
	for _, f := range fields() {
		if c.Symmetric && c.Only != 0 && (c.Only&f == 0) != (c.Only&mirror(f) == 0) {
			return fmt.Errorf("symmetric over fields %v: want both ends' addresses, ports, or all", c.Only)
		}
	}
	for _, f := range c.Families {
		if f != IPv4 && f != IPv6 {
			return fmt.Errorf("address family %d: want 4 or 6", uint8(f))
		}
	}
	for _, r := range c.Spreads {
		if err := r.validate(c.Only); err != nil {
			return err
		}
	}
	return nil
}

func (r BitRange) validate(only rss.Fields) error {
	_, width := IPv4.span(r.Field) // of both families: the shorter address
	switch {
	case r.Field != rss.SourceAddress && r.Field != rss.DestinationAddress && r.Field != rss.SourcePort && r.Field != rss.DestinationPort:
		return fmt.Errorf("spread field %v: want one of s, d, f, n", r.Field)
	case r.Low < 0 || r.High < r.Low || r.High >= width:
		return fmt.Errorf("spread bits %d to %d of field %v: want 0 to %d, the lower one first", r.Low, r.High, r.Field, width-1)
	case only != 0 && only&r.Field == 0:
		return fmt.Errorf("spread field %v, which is not one of the fields %v that count", r.Field, only)
	}
	return nil
}

// state adds the constraints as equations in the bits of the keys.
func (c Constraints) state(s *gf2.System) error {
	for _, f := range c.Families {
		for _, field := range fields() {
			for n := range c.keys() {
				if c.only(n)&field == 0 {
					c.equal(s, f, side{n, field}, nowhere)
				}
			}
			if c.Symmetric && c.Only&field != 0 {
				c.equal(s, f, side{0, field}, side{0, mirror(field)})
			}
			if c.TwoWays {
				c.equal(s, f, side{0, field}, side{1, mirror(field)})
			}
		}
		for _, r := range c.Spreads {
			if !c.spread(s, f, r) {
				return fmt.Errorf("%w: none spreads bits %d to %d of field %v perfectly and meets the other constraints", ErrNone, r.Low, r.High, r.Field)
			}
		}
	}
	return nil
}

// only returns the fields that count under a key. The second key hashes the opposite direction.
func (c Constraints) only(key int) rss.Fields {
	if key == 0 {
		return c.Only
	}
	var mirrored rss.Fields
	for _, f := range fields() {
		if c.Only&f != 0 {
			mirrored |= mirror(f)
		}
	}
	return mirrored
}

// side is a field under one of the keys.
type side struct {
	key   int
	field rss.Fields
}

// nowhere is the side with zero windows.
var nowhere = side{}

// equal adds the equations that make the windows of two fields the same, in the bits of the hash that matter.
func (c Constraints) equal(s *gf2.System, f Family, a, b side) {
	first := 0
	if c.IndexOnly {
		first = 32 - indexBits(c.Table)
	}
	_, width := f.span(a.field)
	for i := range width {
		for j := first; j < 32; j++ {
			e := s.Equation()
			c.flip(e, f, a, i+j)
			if b != nowhere {
				c.flip(e, f, b, i+j)
			}
			s.Add(e)
		}
	}
}

// flip adds to an equation the key bit this far after the beginning of a field. Past the key's end the bits are
// zero.
func (c Constraints) flip(e gf2.Vector, f Family, a side, place int) {
	offset, _ := f.span(a.field)
	if at := offset + place; at < 8*c.Length {
		e.Flip(a.key*8*c.Length + at)
	}
}

// spread adds the equations of a perfect spread under the first key, and tells whether they can be met.
//
// One key bit decides whether bit p of the range changes bit q of the index. It depends on p+q only: h(p+q). The low m
// bits are spread perfectly when the m by m matrix of h(p+q) is regular. That holds for every m when h has a perfect
// linear complexity profile, that is h(0) = 1 and h(2i) = h(2i-1) + h(i-1) (Wang and Massey, "The
// Characterization of All Binary Sequences with a Perfect Linear Complexity Profile", EUROCRYPT 1986).
func (c Constraints) spread(s *gf2.System, f Family, r BitRange) bool {
	_, width := f.span(r.Field)
	last := width - 1 - r.Low + 31 // the offset of h(0) from the field's beginning
	h := func(e gf2.Vector, n int) { c.flip(e, f, side{0, r.Field}, last-n) }
	m := min(r.High-r.Low+1, indexBits(c.Table))
	for i := range m {
		e := s.Equation()
		h(e, 2*i)
		if i == 0 {
			e.Flip(s.Unknowns())
		} else {
			h(e, 2*i-1)
			h(e, i-1)
		}
		if s.Add(e) == gf2.Contradiction {
			return false
		}
	}
	return true
}
