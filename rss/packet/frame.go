package packet

// Frame describes a valid frame to be built, for tests and rigs. Only the Flow is
// needed; the zero value of every other field has a meaning.
type Frame struct {
	Source, Destination MAC
	// Tags are VLAN tags, the outermost first.
	Tags []Tag
	// Flow decides IPv4 or IPv6 by its addresses, which are of one family. A protocol
	// other than TCP and UDP has its whole layer 4 in Payload, and ports 0.
	Flow Flow
	// TTL is the time to live or hop limit; 0 stands for 64.
	TTL uint8
	// ID is the identification of an IPv4 header, or of fragments of either family.
	ID uint16
	// DontFragment sets the DF bit of an IPv4 header.
	DontFragment bool
	// Options are those of an IPv4 header, a multiple of 4 bytes, at most 40.
	Options []byte
	// Extensions are the extension headers of an IPv6 header.
	Extensions []Extension
	// Fragment makes the frame a fragment, one with an offset without layer-4 header. The
	// first one's layer-4 length and checksum are those of its own payload.
	Fragment *Fragment
	// Flags are those of a TCP header; 0 stands for ACK.
	Flags TCPFlags
	// Sequence, Acknowledgement are those of a TCP header.
	Sequence, Acknowledgement uint32
	// Window is that of a TCP header; 0 stands for 65535.
	Window uint16
	// Payload follows the headers.
	Payload []byte
}

// Extension is an IPv6 extension header to be built.
type Extension struct {
	// Kind is HopByHop, Routing, DestinationOptions, Mobility, HIP or Shim6.
	Kind Protocol
	// Data follows the two bytes of next header and length: 6, 14, 22, ... bytes.
	// nil stands for 6 bytes that are one PadN option (RFC 8200 section 4.2).
	Data []byte
}

// Fragment says which part of a packet a frame carries.
type Fragment struct {
	// Offset is the place of the payload in the whole one in bytes, a multiple of 8.
	Offset int
	// More is true for all but the last.
	More bool
}
