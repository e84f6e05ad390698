package rss

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./asm

// width is the number of flows in one step: 512 bits of 32-bit words.
const width = 16

// vector is a key in the form of bit matrices. The hash is linear over GF(2), so an input
// byte adds to each of the 4 bytes of the hash its product with an 8x8 matrix of bits.
// VGF2P8AFFINEQB multiplies 64 bytes in one instruction, each group of 8 by its own matrix, so
// the input is shuffled until a group holds the same input byte of 8 flows.
//
// Idea: linearity as in Tables; the instruction's use for Toeplitz is DPDK's rte_thash_gfni.h.
type vector struct {
	// words[place][out] multiplies the 32-bit word of 16 flows that begins at byte 4*place
	// of an IPv4 input, for byte out of the hash. Qwords 0 to 3 are for bytes 0 to 3 of the word
	// in flows 0 to 7, 4 to 7 for those in flows 8 to 15.
	words [3][4][8]uint64
	// halves[place][out] multiplies the 8 bytes of 8 flows that begin at byte 8*place of
	// an IPv6 input. Qword i is for byte i of them.
	halves [4][4][8]uint64
	// ports is like words, for the ports of an IPv6 input.
	ports [4][8]uint64
	// transpose turns 8 flows' halves of an address, in the order 0, 4, 1, 5, 2, 6, 3, 7, into the qwords that
	// halves multiplies.
	transpose [64]uint8
	// scatter turns the 4 bytes of 16 hashes into 16 numbers.
	scatter [64]uint8
	// numbers turns 16 numbers into the qwords that words multiplies, network the same of 16 words in network byte order.
	numbers, network [64]uint8
}

// newVector returns nil when the CPU lacks an instruction.
func newVector(key Key) *vector {
	if !cpu.X86.HasAVX512F || !cpu.X86.HasAVX512GFNI || !cpu.X86.HasAVX512VBMI {
		return nil
	}
	rows := NewTables(key, IPv6TupleLength).rows
	v := new(vector)
	for out := range 4 {
		for i := range 8 {
			for place := range v.words {
				v.words[place][out][i] = matrix(&rows[4*place+i%4], out)
			}
			for place := range v.halves {
				v.halves[place][out][i] = matrix(&rows[8*place+i], out)
			}
			v.ports[out][i] = matrix(&rows[32+i%4], out)
		}
	}
	for i := range 64 {
		group, flow := i/8, i%8
		v.network[i] = uint8(4*(8*(group/4)+flow) + group%4)
		v.numbers[i] = v.network[i] ^ 3 // a number's last byte comes first
		v.transpose[i] = uint8(8*(2*(flow%4)+flow/4) + group)
		out := 3 - i%4 // byte 0 of a hash is the most significant
		v.scatter[i] = uint8(32*(out%2) + 16*(i/32) + 8*(out/2) + i/4%8)
	}
	return v
}

// matrix returns what an input byte adds to byte out of the hash, 0 the most significant, in
// the instruction's form: byte 7-i of it holds the input bits whose parity is bit i.
func matrix(row *[256]uint32, out int) (m uint64) {
	for in := range 8 {
		added := byte(row[1<<in] >> (24 - 8*out))
		for i := range 8 {
			m |= uint64(added>>i&1) << (8*(7-i) + in)
		}
	}
	return m
}

// hashIPv4 is Batch.HashIPv4 of slices of one length; ports may be nil. It takes them as numbers, in whose bytes the host's order
// does not matter then.
func (v *vector) hashIPv4(hashes []uint32, sources4, destinations4, ports4 [][4]byte) {
	sources, destinations, ports := asNumbers(sources4), asNumbers(destinations4), asNumbers(ports4)
	if n := len(hashes) / width; n > 0 {
		var none [width]uint32
		port, portBytes := portsOf(ports, &none)
		stepsIPv4(v, &v.network, &hashes[0], &sources[0], &destinations[0], port, n, portBytes)
	}
	if at := len(hashes) &^ (width - 1); at < len(hashes) {
		hash, source, destination, port := [width]uint32{}, rest(sources, at), rest(destinations, at), rest(ports, at)
		stepsIPv4(v, &v.network, &hash[0], &source[0], &destination[0], &port[0], 1, 0)
		copy(hashes[at:], hash[:])
	}
}

// asNumbers returns the same memory. This architecture loads numbers from anywhere.
func asNumbers(bytes [][4]byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(bytes))), len(bytes))
}

// hashIPv6 is Batch.HashIPv6 of slices of one length; ports may be nil.
func (v *vector) hashIPv6(hashes []uint32, sources, destinations [][16]byte, ports []uint32) {
	if n := len(hashes) / width; n > 0 {
		var none [width]uint32
		port, portBytes := portsOf(ports, &none)
		stepsIPv6(v, &v.numbers, &hashes[0], &sources[0], &destinations[0], port, n, portBytes)
	}
	if at := len(hashes) &^ (width - 1); at < len(hashes) {
		hash, source, destination, port := [width]uint32{}, rest(sources, at), rest(destinations, at), rest(ports, at)
		stepsIPv6(v, &v.numbers, &hash[0], &source[0], &destination[0], &port[0], 1, 0)
		copy(hashes[at:], hash[:])
	}
}

// portsOf returns where the ports of the first step are, and how far those of the next are from there. Without ports all have none.
func portsOf(ports []uint32, none *[width]uint32) (first *uint32, bytes int) {
	if ports == nil {
		return &none[0], 0
	}
	return &ports[0], 4 * width
}

// rest returns what is left from a place on, for a step of its own.
func rest[T any](all []T, at int) (step [width]T) {
	if all != nil {
		copy(step[:], all[at:])
	}
	return step
}

// stepsIPv4 hashes 16 flows of IPv4 in each of at least one step. portBytes is how far the ports of one step are from those
// of the next. gather says in what order bytes of numbers lie.
//
//go:noescape
func stepsIPv4(v *vector, gather *[64]uint8, hashes *uint32, sources, destinations *uint32, ports *uint32, steps, portBytes int)

// stepsIPv6 is stepsIPv4 of IPv6 addresses in network byte order.
//
//go:noescape
func stepsIPv6(v *vector, gather *[64]uint8, hashes *uint32, sources, destinations *[16]byte, ports *uint32, steps, portBytes int)
