//go:build goexperiment.simd && amd64

package rss

import (
	"simd/archsimd"
	"unsafe"
)

// hashIPv4 is Batch.HashIPv4 of slices of one length; ports may be nil.
func (v *vector) hashIPv4(hashes, sources, destinations, ports []uint32) {
	n := len(hashes)
	whole := n &^ (width - 1)
	v.stepsIPv4(hashes[:whole], sources, destinations, ports)
	if whole == n {
		return
	}
	var hash, source, destination, port [width]uint32
	copy(source[:], sources[whole:])
	copy(destination[:], destinations[whole:])
	if ports != nil {
		copy(port[:], ports[whole:])
	}
	v.stepsIPv4(hash[:], source[:], destination[:], port[:])
	copy(hashes[whole:], hash[:])
}

// stepsIPv4 hashes a multiple of 16 flows.
func (v *vector) stepsIPv4(hashes, sources, destinations, ports []uint32) {
	order := &v.order
	s0, s1, s2, s3 := load4(&v.words[0])
	d0, d1, d2, d3 := load4(&v.words[1])
	p0, p1, p2, p3 := load4(&v.words[2])
	for i := 0; i < len(hashes); i += width {
		source := order.numbers((*[width]uint32)(sources[i:]))
		destination := order.numbers((*[width]uint32)(destinations[i:]))
		h0 := multiply(source, s0).Xor(multiply(destination, d0))
		h1 := multiply(source, s1).Xor(multiply(destination, d1))
		h2 := multiply(source, s2).Xor(multiply(destination, d2))
		h3 := multiply(source, s3).Xor(multiply(destination, d3))
		if ports != nil {
			port := order.numbers((*[width]uint32)(ports[i:]))
			h0 = h0.Xor(multiply(port, p0))
			h1 = h1.Xor(multiply(port, p1))
			h2 = h2.Xor(multiply(port, p2))
			h3 = h3.Xor(multiply(port, p3))
		}
		order.finish(h0, h1, h2, h3).Store((*[width]uint32)(hashes[i:]))
	}
	archsimd.ClearAVXUpperBits()
}

// multiply multiplies each group of 8 bytes by its own matrix.
func multiply(x archsimd.Uint8x64, matrices archsimd.Uint64x8) archsimd.Uint64x8 {
	return x.GaloisFieldAffineTransform(matrices, 0).AsUint64x8()
}

func load4(m *[4][8]uint64) (m0, m1, m2, m3 archsimd.Uint64x8) {
	return archsimd.LoadUint64x8(&m[0]), archsimd.LoadUint64x8(&m[1]), archsimd.LoadUint64x8(&m[2]), archsimd.LoadUint64x8(&m[3])
}

// hashIPv6 is Batch.HashIPv6 of slices of one length; ports may be nil.
func (v *vector) hashIPv6(hashes []uint32, sources, destinations [][16]byte, ports []uint32) {
	n := len(hashes)
	whole := n &^ (width - 1)
	v.stepsIPv6(hashes[:whole], sources, destinations, ports)
	if whole == n {
		return
	}
	var hash, port [width]uint32
	var source, destination [width][16]byte
	copy(source[:], sources[whole:])
	copy(destination[:], destinations[whole:])
	if ports != nil {
		copy(port[:], ports[whole:])
	}
	v.stepsIPv6(hash[:], source[:], destination[:], port[:])
	copy(hashes[whole:], hash[:])
}

// stepsIPv6 hashes a multiple of 16 flows: in each step the addresses of flows 0 to 7, those of 8 to 15,
// then the ports of all.
func (v *vector) stepsIPv6(hashes []uint32, sources, destinations [][16]byte, ports []uint32) {
	order := &v.order
	for i := 0; i < len(hashes); i += width {
		a0, a1, a2, a3 := v.addresses((*[8][16]byte)(sources[i:]), (*[8][16]byte)(destinations[i:]))
		b0, b1, b2, b3 := v.addresses((*[8][16]byte)(sources[i+8:]), (*[8][16]byte)(destinations[i+8:]))
		h0, h1, h2, h3 := order.pair(a0, b0), order.pair(a1, b1), order.pair(a2, b2), order.pair(a3, b3)
		if ports != nil {
			port := order.numbers((*[width]uint32)(ports[i:]))
			p0, p1, p2, p3 := load4(&v.ports)
			h0 = h0.Xor(multiply(port, p0))
			h1 = h1.Xor(multiply(port, p1))
			h2 = h2.Xor(multiply(port, p2))
			h3 = h3.Xor(multiply(port, p3))
		}
		order.finish(h0, h1, h2, h3).Store((*[width]uint32)(hashes[i:]))
	}
	archsimd.ClearAVXUpperBits()
}

// addresses returns what the addresses of 8 flows add to the 4 bytes of their hashes. The caller sums
// each over its qwords.
func (v *vector) addresses(sources, destinations *[8][16]byte) (h0, h1, h2, h3 archsimd.Uint64x8) {
	low, high := v.order.addresses(sources)
	m0, m1, m2, m3 := load4(&v.halves[0])
	n0, n1, n2, n3 := load4(&v.halves[1])
	h0 = multiply(low, m0).Xor(multiply(high, n0))
	h1 = multiply(low, m1).Xor(multiply(high, n1))
	h2 = multiply(low, m2).Xor(multiply(high, n2))
	h3 = multiply(low, m3).Xor(multiply(high, n3))

	low, high = v.order.addresses(destinations)
	m0, m1, m2, m3 = load4(&v.halves[2])
	n0, n1, n2, n3 = load4(&v.halves[3])
	h0 = h0.Xor(multiply(low, m0)).Xor(multiply(high, n0))
	h1 = h1.Xor(multiply(low, m1)).Xor(multiply(high, n1))
	h2 = h2.Xor(multiply(low, m2)).Xor(multiply(high, n2))
	h3 = h3.Xor(multiply(low, m3)).Xor(multiply(high, n3))
	return h0, h1, h2, h3
}

// addresses loads 8 addresses as the qwords of their bytes 0 to 7 and 8 to 15. The array is contiguous, so
// 4 addresses are 64 bytes; Go has no conversion for that, hence unsafe.
func (s *shuffles) addresses(a *[8][16]byte) (low, high archsimd.Uint8x64) {
	both := (*[2][64]uint8)(unsafe.Pointer(a))
	first, second := archsimd.LoadUint8x64(&both[0]), archsimd.LoadUint8x64(&both[1])
	return first.ConcatPermute(second, archsimd.LoadUint8x64(&s.low)),
		first.ConcatPermute(second, archsimd.LoadUint8x64(&s.high))
}
