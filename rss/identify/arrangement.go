package identify

import (
	"fmt"
	"strings"
)

// Header is the header of a tunnelled packet that is hashed.
type Header uint8

// The headers.
const (
	Outer Header = iota
	Inner
)

// Order is the order or combination of the two ends of a flow in the input.
type Order uint8

// The orders. All except the first two give both directions the same hash.
const (
	AsSent         Order = iota // source, destination: Microsoft's
	Swapped                     // destination, source
	LowFirst                    // the end with the lower (address, port) first
	HighFirst                   // the end with the higher (address, port) first
	EachLowFirst                // the lower address first, and the lower port first
	EachHighFirst               // the higher address first, and the higher port first
	SymmetricXOR                // source^destination twice
	SymmetricOrXOR              // source|destination, source^destination
	SymmetricXorOr              // source^destination, source|destination
	orders         = iota
)

// Bytes is the byte order of the input.
type Bytes uint8

// The byte orders.
const (
	NetworkOrder   Bytes = iota // as in the packet: Microsoft's
	FieldsReversed              // the bytes of each port and of each 32-bit word of an address reversed
	WordsReversed               // the bytes of each 32-bit word of the input reversed, which also swaps the ports
	AllReversed                 // last byte first
	byteOrders     = iota
)

// Output is the byte order of the reported hash.
type Output uint8

// The outputs.
const (
	Plain        Output = iota
	BytesSwapped        // the hash's four bytes are reversed
)

// Arrangement says how a packet becomes the input of the hash, and the hash the output. The zero value is
// Microsoft's.
type Arrangement struct {
	Header Header
	Order  Order
	Bytes  Bytes
	Output Output
}

// String returns "outer header" or "inner header".
func (h Header) String() string { return [...]string{"outer header", "inner header"}[h] }

// String describes the order.
func (o Order) String() string {
	return [...]string{
		"source, destination", "source and destination swapped", "sorted, lower end first", "sorted, higher end first",
		"addresses and ports sorted each, lower first", "addresses and ports sorted each, higher first",
		"symmetric-xor", "symmetric-or-xor", "symmetric-xor-or",
	}[o]
}

// String describes the byte order.
func (b Bytes) String() string {
	return [...]string{"network byte order", "bytes of each field reversed", "bytes of each 32-bit word reversed", "all bytes reversed"}[b]
}

// String describes the output.
func (o Output) String() string { return [...]string{"plain", "bytes of the hash swapped"}[o] }

// String lists the departures from Microsoft's specification, or returns "as Microsoft specifies".
func (a Arrangement) String() string {
	var odd []string
	for _, s := range []struct {
		odd  bool
		name fmt.Stringer
	}{{a.Header != Outer, a.Header}, {a.Order != AsSent, a.Order}, {a.Bytes != NetworkOrder, a.Bytes}, {a.Output != Plain, a.Output}} {
		if s.odd {
			odd = append(odd, s.name.String())
		}
	}
	if odd == nil {
		return "as Microsoft specifies"
	}
	return strings.Join(odd, "; ")
}

// arrangements are all arrangements that are tried, simple ones first: an order with a byte order, or with a swapped
// hash. The inner header is tried only if there is one.
func arrangements(inner bool) (all []Arrangement) {
	headers := []Header{Outer}
	if inner {
		headers = append(headers, Inner)
	}
	for b := range Bytes(byteOrders) {
		for o := range Order(orders) {
			for _, h := range headers {
				all = append(all, Arrangement{Header: h, Order: o, Bytes: b})
			}
		}
	}
	for o := range Order(orders) {
		for _, h := range headers {
			all = append(all, Arrangement{Header: h, Order: o, Output: BytesSwapped})
		}
	}
	return all
}
