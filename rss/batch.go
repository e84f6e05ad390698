package rss

import (
	"encoding/binary"
	"fmt"
)

// Batch computes the Toeplitz hashes of any number of flows at once. There is one slice for each
// field of the flows, with flow i at index i.
//
// On an x86 CPU with GFNI and AVX-512 VBMI it hashes 16 flows at a time in vector registers; elsewhere one by one
// with Tables. The results are the same. It is
// immutable and safe for concurrent use. NewBatch makes one.
type Batch struct {
	tables *Tables
	vector *vector // nil where there is none
}

// NewBatch prepares the hash under key.
func NewBatch(key Key) *Batch {
	return &Batch{tables: NewTables(key, IPv6TupleLength), vector: newVector(key)}
}

// Vector tells whether vector code is used.
func (b *Batch) Vector() bool { return b.vector != nil }

// PackPorts returns two ports as HashIPv6 takes them.
func PackPorts(source, destination uint16) uint32 {
	return uint32(source)<<16 | uint32(destination)
}

// HashIPv4 writes the hashes of the flows to hashes, which must not overlap the others. Fields are as headers have them, in network
// byte order; ports are the first 4 bytes of TCP or UDP. With nil ports it hashes the addresses alone. It panics when the
// slices differ in length, and does not allocate.
func (b *Batch) HashIPv4(hashes []uint32, sources, destinations, ports [][4]byte) {
	checkLengths(len(hashes), len(sources), len(destinations), len(ports), ports == nil)
	if b.vector != nil {
		b.vector.hashIPv4(hashes, sources, destinations, ports)
		return
	}
	number := binary.BigEndian.Uint32
	for i := range hashes {
		var port uint32
		if ports != nil {
			port = number(ports[i][:])
		}
		hashes[i] = b.hashOne4(number(sources[i][:]), number(destinations[i][:]), port)
	}
}

// HashIPv6 is HashIPv4 of IPv6 flows. Addresses are in network byte order, as
// netip.Addr.As16 returns them; ports are PackPorts.
func (b *Batch) HashIPv6(hashes []uint32, sources, destinations [][16]byte, ports []uint32) {
	checkLengths(len(hashes), len(sources), len(destinations), len(ports), ports == nil)
	if b.vector != nil {
		b.vector.hashIPv6(hashes, sources, destinations, ports)
		return
	}
	var in [IPv6TupleLength]byte
	for i := range hashes {
		*(*[16]byte)(in[0:]) = sources[i]
		*(*[16]byte)(in[16:]) = destinations[i]
		p := portsAt(ports, i)
		in[32], in[33], in[34], in[35] = byte(p>>24), byte(p>>16), byte(p>>8), byte(p)
		hashes[i] = b.tables.HashIPv6(&in)
	}
}

// hashOne4 is Tables.HashIPv4 of numbers in registers.
func (b *Batch) hashOne4(s, d, p uint32) uint32 {
	r := (*[IPv4TupleLength][256]uint32)(b.tables.rows)
	return (r[0][s>>24] ^ r[1][byte(s>>16)] ^ r[2][byte(s>>8)] ^ r[3][byte(s)]) ^
		(r[4][d>>24] ^ r[5][byte(d>>16)] ^ r[6][byte(d>>8)] ^ r[7][byte(d)]) ^
		(r[8][p>>24] ^ r[9][byte(p>>16)] ^ r[10][byte(p>>8)] ^ r[11][byte(p)])
}

// portsAt returns ports[i], or without ports 0, which adds nothing to a Toeplitz hash.
func portsAt(ports []uint32, i int) uint32 {
	if ports == nil {
		return 0
	}
	return ports[i]
}

func checkLengths(hashes, sources, destinations, ports int, none bool) {
	if sources != hashes || destinations != hashes || ports != hashes && !none {
		panic(fmt.Sprintf("rss: batch of %d hashes from %d sources, %d destinations, %d ports", hashes, sources, destinations, ports))
	}
}
