package keys

import "math/bits"

// indexBits is the number of low bits of the hash that pick an entry of a table. Where the size is not a power
// of two, all bits do.
func indexBits(size int) int {
	if size&(size-1) != 0 {
		return 32
	}
	return bits.Len(uint(size)) - 1
}
