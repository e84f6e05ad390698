//go:build goexperiment.simd && amd64

package rss

import "simd/archsimd"

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

// multiply multiplies each 8 bytes by a matrix of their own.
func multiply(x archsimd.Uint8x64, matrices archsimd.Uint64x8) archsimd.Uint64x8 {
	return x.GaloisFieldAffineTransform(matrices, 0).AsUint64x8()
}

func load4(m *[4][8]uint64) (m0, m1, m2, m3 archsimd.Uint64x8) {
	return archsimd.LoadUint64x8(&m[0]), archsimd.LoadUint64x8(&m[1]), archsimd.LoadUint64x8(&m[2]), archsimd.LoadUint64x8(&m[3])
}
