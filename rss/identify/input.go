package identify

import (
	"bytes"
	"net/netip"
	"slices"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// subsets are the sets of fields that are tried for a class of packets, likely ones first.
func (a Arrangement) subsets(class string) []rss.Fields {
	switch {
	case class == "input":
		return []rss.Fields{0}
	case class == withoutPorts+"4", class == withoutPorts+"6":
		return []rss.Fields{rss.Addresses, rss.SourceAddress, rss.DestinationAddress}
	case a.Order > Swapped: // both ends are mixed or sorted, so one end alone has no meaning
		return []rss.Fields{rss.FourTuple, rss.Addresses}
	}
	return []rss.Fields{
		rss.FourTuple, rss.Addresses,
		rss.Addresses | rss.SourcePort, rss.Addresses | rss.DestinationPort,
		rss.SourceAddress, rss.DestinationAddress,
	}
}

// flow returns the flow of the header that is hashed.
func (a Arrangement) flow(o *Observation) packet.Flow {
	if a.Header == Inner && o.Inner != (packet.Flow{}) {
		return o.Inner
	}
	return o.Flow
}

// input returns the bytes that are hashed of an observed packet. A raw input ignores the fields.
func (a Arrangement) input(o *Observation, fields rss.Fields) []byte {
	if o.Input != nil {
		return a.Bytes.arrange(bytes.Clone(o.Input), 0)
	}
	s, d := a.Order.ends(a.flow(o))
	var b []byte
	b = appendPair(b, a.Order, s.Addr().AsSlice(), d.Addr().AsSlice(), fields&rss.SourceAddress != 0, fields&rss.DestinationAddress != 0)
	ports := len(b)
	b = appendPair(b, a.Order, port(s), port(d), fields&rss.SourcePort != 0, fields&rss.DestinationPort != 0)
	return a.Bytes.arrange(b, len(b)-ports)
}

func port(a netip.AddrPort) []byte { return []byte{byte(a.Port() >> 8), byte(a.Port())} }

// ends returns the two ends in the order in which they are hashed.
func (o Order) ends(f packet.Flow) (first, second netip.AddrPort) {
	s, d := f.Source, f.Destination
	low, high := s, d
	if d.Compare(s) < 0 {
		low, high = d, s
	}
	switch o {
	case Swapped:
		return d, s
	case LowFirst:
		return low, high
	case HighFirst:
		return high, low
	case EachLowFirst, EachHighFirst:
		lowPort, highPort := min(s.Port(), d.Port()), max(s.Port(), d.Port())
		if o == EachLowFirst {
			return netip.AddrPortFrom(low.Addr(), lowPort), netip.AddrPortFrom(high.Addr(), highPort)
		}
		return netip.AddrPortFrom(high.Addr(), highPort), netip.AddrPortFrom(low.Addr(), lowPort)
	}
	return s, d
}

// appendPair appends the input of a pair of fields.
func appendPair(b []byte, o Order, s, d []byte, withS, withD bool) []byte {
	if withS && withD {
		s, d = o.mix(s, d)
	}
	if withS {
		b = append(b, s...)
	}
	if withD {
		b = append(b, d...)
	}
	return b
}

// mix combines a pair of fields of equal length, for the symmetric orders.
func (o Order) mix(s, d []byte) (first, second []byte) {
	if o < SymmetricXOR {
		return s, d
	}
	xor, or := make([]byte, len(s)), make([]byte, len(s))
	for i := range s {
		xor[i], or[i] = s[i]^d[i], s[i]|d[i]
	}
	switch o {
	case SymmetricOrXOR:
		return or, xor
	case SymmetricXorOr:
		return xor, or
	}
	return xor, xor
}

// arrange puts an input, whose last bytes are this many bytes of ports, into byte order. It changes its argument.
func (b Bytes) arrange(input []byte, ports int) []byte {
	switch b {
	case FieldsReversed:
		reverseEach(input[:len(input)-ports], 4)
		reverseEach(input[len(input)-ports:], 2)
	case WordsReversed:
		reverseEach(input, 4)
	case AllReversed:
		slices.Reverse(input)
	}
	return input
}

func reverseEach(b []byte, n int) {
	for word := range slices.Chunk(b, n) {
		slices.Reverse(word)
	}
}
