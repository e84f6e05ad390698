package oracle

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// Hash returns the hash of a flow towards service s; the flow's slot is Hash mod s.TableSize. Both
// addresses of the flow are of one family. The key is used by ToeplitzHash only.
//
// JHash reads the tuple as the packet has it (source address, destination address, source
// port, destination port, network byte order) in words of 4 bytes, each loaded as
// little-endian: the machines that the kernel program runs on are.
func Hash(s lb.Service, key rss.Key, f packet.Flow) uint32 {
	tuple := tupleOf(f)
	if s.Hash == lb.ToeplitzHash {
		return rss.Toeplitz(key, tuple)
	}
	words := make([]uint32, len(tuple)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(tuple[4*i:])
	}
	return jhash2(words, s.Seed)
}

// tupleOf returns the 12 or 36 bytes that are hashed, in network byte order.
func tupleOf(f packet.Flow) []byte {
	tuple := append(f.Source.Addr().AsSlice(), f.Destination.Addr().AsSlice()...)
	return append(append(tuple, portBytes(f.Source)...), portBytes(f.Destination)...)
}

// portBytes returns the port in network byte order.
func portBytes(a netip.AddrPort) []byte {
	return []byte{byte(a.Port() >> 8), byte(a.Port())}
}
