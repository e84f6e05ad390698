package packet

import "encoding/binary"

// The IPv6 extension headers (IANA "IPv6 Extension Header Types"), without ESP, behind which
// nothing can be read.
const (
	HopByHop           Protocol = 0
	Routing            Protocol = 43
	FragmentHeader     Protocol = 44
	Authentication     Protocol = 51
	DestinationOptions Protocol = 60
	Mobility           Protocol = 135
	HIP                Protocol = 139
	Shim6              Protocol = 140
)

// MaxExtensions is how many extension headers are walked before the walk gives
// up. RFC 8504 section 5.3 lets a node have such a limit; hardware has a lower one.
const MaxExtensions = 8

// IsExtension tells whether p names an IPv6 extension header that can be walked.
func (p Protocol) IsExtension() bool {
	switch p {
	case HopByHop, Routing, FragmentHeader, Authentication, DestinationOptions, Mobility, HIP, Shim6:
		return true
	}
	return false
}

// extensionLength returns the length in bytes of the extension header of the given kind
// that b begins with; b has at least 2 bytes.
func extensionLength(kind Protocol, b []byte) int {
	switch kind {
	case FragmentHeader: // its second byte is reserved, not a length
		return 8
	case Authentication: // RFC 4302 section 2.2: in words of 4 bytes, minus 2
		return (int(b[1]) + 2) * 4
	}
	return (int(b[1]) + 1) * 8
}

// chain is what a walk over extension headers found.
type chain struct {
	// next is the protocol behind the last header walked, at offset length.
	next     Protocol
	length   int
	count    int
	fragment bool
	// authenticated is true behind an AH, whose SPI is spi.
	authenticated bool
	spi           uint32
}

// walk goes over the extension headers at the start of b, of which the first is
// of kind next. It stops behind a fragment header, as what follows one is a header only
// in the first fragment, and after MaxExtensions. It is false when one is cut short.
func walk(next Protocol, b []byte) (chain, bool) {
	c := chain{next: next}
	for c.next.IsExtension() && c.count < MaxExtensions && !c.fragment {
		rest := b[c.length:]
		if len(rest) < 8 || len(rest) < extensionLength(c.next, rest) {
			return c, false
		}
		c.fragment = c.next == FragmentHeader
		if c.next == Authentication {
			c.authenticated, c.spi = true, binary.BigEndian.Uint32(rest[4:])
		}
		c.length += extensionLength(c.next, rest)
		c.next = Protocol(rest[0])
		c.count++
	}
	return c, true
}
