package rss

// Toeplitz returns the hash of input by its definition, bit by bit: the exclusive
// or, over the bits of input that are set, of the 32 bits of the key that start at
// the bit's place. Bit 0 is the most significant one of byte 0.
//
// It is total: past its end the key is zeros, and an empty input has hash 0.
// Tables computes the same faster.
func Toeplitz(key Key, input []byte) uint32 {
	var hash, window uint32
	for i := range 32 {
		window = window<<1 | key.bit(i)
	}
	for i := range 8 * len(input) {
		if Key(input).bit(i) == 1 {
			hash ^= window
		}
		window = window<<1 | key.bit(i+32)
	}
	return hash
}

// bit returns bit i of the key, 0 past its end.
func (k Key) bit(i int) uint32 {
	if i/8 >= len(k) {
		return 0
	}
	return uint32(k[i/8]>>(7-i%8)) & 1
}
