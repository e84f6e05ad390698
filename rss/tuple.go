package rss

import (
	"encoding/binary"
	"net/netip"
)

// AppendAddresses appends what is hashed of a flow's addresses: source, then
// destination, in network byte order; 8 bytes for IPv4, 32 for IPv6.
func AppendAddresses(b []byte, source, destination netip.Addr) []byte {
	return append(append(b, source.AsSlice()...), destination.AsSlice()...)
}

// AppendTuple appends what is hashed of a flow's 4-tuple: source address,
// destination address, source port, destination port, in network byte order;
// IPv4TupleLength or IPv6TupleLength bytes.
func AppendTuple(b []byte, source, destination netip.AddrPort) []byte {
	b = AppendAddresses(b, source.Addr(), destination.Addr())
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, destination.Port())
}
