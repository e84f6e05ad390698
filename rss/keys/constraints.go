package keys

import (
	"fmt"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

func (w Wishes) validate() error {
	switch {
	case w.Length < rss.MinKeyLength || w.Length > rss.MaxKeyLength:
		return fmt.Errorf("rss key of %d bytes: want %d to %d", w.Length, rss.MinKeyLength, rss.MaxKeyLength)
	case w.Table < 2 || w.Table > rss.MaxTableSize:
		return fmt.Errorf("indirection table of %d entries: want 2 to %d", w.Table, rss.MaxTableSize)
	case w.IndexOnly && indexBits(w.Table) == 32:
		return fmt.Errorf("equal indexes into a table of %d entries: want a power of two", w.Table)
	case w.Only&^rss.FourTuple != 0:
		return fmt.Errorf("hash fields %v: want letters of sdfn", w.Only)
	case w.Symmetric && w.TwoWays:
		return fmt.Errorf("one symmetric key and a pair of keys: want one of the two")
	}
	for _, f := range fields() {
		if w.Symmetric && w.Only != 0 && (w.Only&f == 0) != (w.Only&mirror(f) == 0) {
			return fmt.Errorf("symmetric over fields %v: want both ends' addresses, ports, or all", w.Only)
		}
	}
	for _, f := range w.Families {
		if f != IPv4 && f != IPv6 {
			return fmt.Errorf("address family %d: want 4 or 6", uint8(f))
		}
	}
	for _, r := range w.Spreads {
		if err := r.validate(w.Only); err != nil {
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
		return fmt.Errorf("spread field %v, which shall not count", r.Field)
	}
	return nil
}

// state states the wishes as equations in the bits of the keys.
func (w Wishes) state(s *gf2.System) error {
	for _, f := range w.Families {
		for _, field := range fields() {
			for n := range w.keys() {
				if w.only(n)&field == 0 {
					w.equal(s, f, side{n, field}, nowhere)
				}
			}
			if w.Symmetric && w.Only&field != 0 {
				w.equal(s, f, side{0, field}, side{0, mirror(field)})
			}
			if w.TwoWays {
				w.equal(s, f, side{0, field}, side{1, mirror(field)})
			}
		}
		for _, r := range w.Spreads {
			if !w.spread(s, f, r) {
				return fmt.Errorf("%w: none spreads bits %d to %d of field %v perfectly and does the rest", ErrNone, r.Low, r.High, r.Field)
			}
		}
	}
	return nil
}

// only returns the fields that count under a key. The second key hashes the opposite direction.
func (w Wishes) only(key int) rss.Fields {
	if key == 0 {
		return w.Only
	}
	var mirrored rss.Fields
	for _, f := range fields() {
		if w.Only&f != 0 {
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
func (w Wishes) equal(s *gf2.System, f Family, a, b side) {
	first := 0
	if w.IndexOnly {
		first = 32 - indexBits(w.Table)
	}
	_, width := f.span(a.field)
	for i := range width {
		for j := first; j < 32; j++ {
			e := s.Equation()
			w.flip(e, f, a, i+j)
			if b != nowhere {
				w.flip(e, f, b, i+j)
			}
			s.Add(e)
		}
	}
}

// flip adds to an equation the key bit this far after the beginning of a field. Past the key's end the bits are
// zero.
func (w Wishes) flip(e gf2.Vector, f Family, a side, place int) {
	offset, _ := f.span(a.field)
	if at := offset + place; at < 8*w.Length {
		e.Flip(a.key*8*w.Length + at)
	}
}

// spread adds the equations of a perfect spread under the first key, and tells whether they can be met.
//
// One key bit decides whether bit p of the range changes bit q of the index. It depends on p+q only: h(p+q). The low m
// bits are spread perfectly when the m by m matrix of h(p+q) is regular. That holds for every m when h has a perfect
// linear complexity profile, that is h(0) = 1 and h(2i) = h(2i-1) + h(i-1) (Wang and Massey, "The
// Characterization of All Binary Sequences with a Perfect Linear Complexity Profile", EUROCRYPT 1986).
func (w Wishes) spread(s *gf2.System, f Family, r BitRange) bool {
	_, width := f.span(r.Field)
	last := width - 1 - r.Low + 31 // the offset of h(0) from the field's beginning
	h := func(e gf2.Vector, n int) { w.flip(e, f, side{0, r.Field}, last-n) }
	m := min(r.High-r.Low+1, indexBits(w.Table))
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
