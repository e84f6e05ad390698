package identify

import (
	"bytes"
	"math/bits"
	"net/netip"
	"slices"
	"testing"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// TestNamesQuirk: every quirk of a NIC is reported, with a random key and with a known one.
func TestNamesQuirk(t *testing.T) {
	toeplitz := func(change func(f packet.Flow, input []byte) []byte) func(key rss.Key, f packet.Flow) uint32 {
		return func(key rss.Key, f packet.Flow) uint32 { return rss.Toeplitz(key, change(f, tuple(f))) }
	}
	for _, c := range []struct {
		name string
		nic  func(key rss.Key, f packet.Flow) uint32
		want Arrangement
	}{
		{"swapped", toeplitz(func(f packet.Flow, _ []byte) []byte { return tuple(f.Reverse()) }), Arrangement{Order: Swapped}},
		{"lower first", toeplitz(func(f packet.Flow, _ []byte) []byte {
			if f.Destination.Compare(f.Source) < 0 {
				f = f.Reverse()
			}
			return tuple(f)
		}), Arrangement{Order: LowFirst}},
		{"higher first", toeplitz(func(f packet.Flow, _ []byte) []byte {
			if f.Destination.Compare(f.Source) > 0 {
				f = f.Reverse()
			}
			return tuple(f)
		}), Arrangement{Order: HighFirst}},
		{"each lower first", toeplitz(func(f packet.Flow, _ []byte) []byte { return sorted(f, false) }), Arrangement{Order: EachLowFirst}},
		{"each higher first", toeplitz(func(f packet.Flow, _ []byte) []byte { return sorted(f, true) }), Arrangement{Order: EachHighFirst}},
		{"symmetric-xor", toeplitz(func(_ packet.Flow, b []byte) []byte {
			return pairs(b, func(s, d byte) (byte, byte) { return s ^ d, s ^ d })
		}), Arrangement{Order: SymmetricXOR}},
		{"symmetric-or-xor", toeplitz(func(_ packet.Flow, b []byte) []byte {
			return pairs(b, func(s, d byte) (byte, byte) { return s | d, s ^ d })
		}), Arrangement{Order: SymmetricOrXOR}},
		{"symmetric-xor-or", toeplitz(func(_ packet.Flow, b []byte) []byte {
			return pairs(b, func(s, d byte) (byte, byte) { return s ^ d, s | d })
		}), Arrangement{Order: SymmetricXorOr}},
		{"little-endian fields", toeplitz(func(_ packet.Flow, b []byte) []byte {
			turn(b[:len(b)-4], 4)
			turn(b[len(b)-4:], 2)
			return b
		}), Arrangement{Bytes: FieldsReversed}},
		{"little-endian words", toeplitz(func(_ packet.Flow, b []byte) []byte { turn(b, 4); return b }), Arrangement{Bytes: WordsReversed}},
		{"reversed input", toeplitz(func(_ packet.Flow, b []byte) []byte { turn(b, len(b)); return b }), Arrangement{Bytes: AllReversed}},
		{"swapped hash", func(key rss.Key, f packet.Flow) uint32 { return bits.ReverseBytes32(rss.Toeplitz(key, tuple(f))) }, Arrangement{Output: BytesSwapped}},
		{"sorted and little-endian", toeplitz(func(f packet.Flow, _ []byte) []byte {
			b := sorted(f, false)
			turn(b, 4)
			return b
		}), Arrangement{Order: EachLowFirst, Bytes: WordsReversed}},
	} {
		for _, class := range []string{"tcp4", "udp6"} {
			for _, known := range []bool{false, true} {
				t.Run(c.name+" "+class+map[bool]string{true: " known key"}[known], func(t *testing.T) {
					r := source(t)
					key, o := randomKey(r, 40), Options{}
					if known {
						o.Keys = []NamedKey{{"given", key}}
					}
					got := identified(t, observe(r, 64, func(o *Observation) uint32 { return c.nic(key, o.Flow) }, class), o)
					if got.Model.Arrangement != c.want || len(got.Also) != 0 {
						t.Errorf("%v, also %v; want %v", got.Model.Arrangement, got.Also, c.want)
					}
					if known != (got.Model.KeyName == "given") {
						t.Errorf("key name %q", got.Model.KeyName)
					}
					if !known && c.want.Order < SymmetricXOR { // else only sums of key bits are determined
						sameKey(t, got.Model, key, map[string]Range{"tcp4": {127, 319}, "udp6": {319, 319}}[class])
					}
				})
			}
		}
	}
}

// sorted is a tuple whose addresses and ports are sorted each.
func sorted(f packet.Flow, high bool) []byte {
	s, d := f.Source, f.Destination
	if s.Addr().Less(d.Addr()) == high {
		s, d = netip.AddrPortFrom(d.Addr(), s.Port()), netip.AddrPortFrom(s.Addr(), d.Port())
	}
	if (s.Port() < d.Port()) == high {
		s, d = netip.AddrPortFrom(s.Addr(), d.Port()), netip.AddrPortFrom(d.Addr(), s.Port())
	}
	return rss.AppendTuple(nil, s, d)
}

// pairs combines the bytes of source and destination.
func pairs(b []byte, mix func(s, d byte) (byte, byte)) []byte {
	a := (len(b) - 4) / 2
	for i := range a {
		b[i], b[a+i] = mix(b[i], b[a+i])
	}
	for i := 2 * a; i < 2*a+2; i++ {
		b[i], b[i+2] = mix(b[i], b[i+2])
	}
	return b
}

// turn reverses every n bytes.
func turn(b []byte, n int) {
	for i := 0; i < len(b); i += n {
		slices.Reverse(b[i:min(i+n, len(b))])
	}
}

// TestNamesKeyQuirk: the variant of a given key is reported.
func TestNamesKeyQuirk(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(key rss.Key) rss.Key
		want   string
	}{
		{"as given", func(key rss.Key) rss.Key { return key }, "given"},
		{"reversed", func(key rss.Key) rss.Key { turn(key, 40); return key }, "given, byte-reversed"},
		{"words swapped", func(key rss.Key) rss.Key { turn(key, 4); return key }, "given, bytes of each 32-bit word reversed"},
		{"words reversed", func(key rss.Key) rss.Key { turn(key, 40); turn(key, 4); return key }, "given, 32-bit words in reverse order"},
		{"first half", func(key rss.Key) rss.Key { return bytes.Repeat(key[:20], 2) }, "given, first half duplicated"},
		{"second half", func(key rss.Key) rss.Key { return bytes.Repeat(key[20:], 2) }, "given, second half duplicated"},
		{"ms", func(rss.Key) rss.Key { return rss.MicrosoftKey() }, "ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := source(t)
			given := randomKey(r, 40)
			key := c.change(slices.Clone(given))
			// Four observations do: there is no key to solve for.
			for _, n := range []int{4, 64} {
				got := identified(t, observe(r, n, plain(key), "tcp6", "tcp4"), Options{Keys: []NamedKey{{"given", given}}})
				if got.Model.KeyName != c.want || !bytes.Equal(got.Model.Key, key) {
					t.Errorf("%d observations: key %q, want %q", n, got.Model.KeyName, c.want)
				}
			}
		})
	}
}
