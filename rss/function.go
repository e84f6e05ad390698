package rss

import (
	"fmt"
	"hash/crc32"
)

// Function is the function that hashes a packet's fields to 32 bits. The values are the
// bit numbers of ETH_RSS_HASH_* in the kernel's include/linux/ethtool.h. The zero value
// is FunctionToeplitz.
type Function uint8

// The functions, as ethtool -X hfunc names them.
const (
	FunctionToeplitz Function = iota
	FunctionXOR
	FunctionCRC32
)

// FunctionNames returns the names that ParseFunction knows, in the order of the values.
func FunctionNames() []string { return []string{"toeplitz", "xor", "crc32"} }

// ParseFunction reads "toeplitz", "xor" or "crc32".
func ParseFunction(s string) (Function, error) {
	for i, name := range FunctionNames() {
		if s == name {
			return Function(i), nil
		}
	}
	return 0, fmt.Errorf("hash function %q: want one of %q", s, FunctionNames())
}

// String returns ethtool's name, or "function-9" for a value that has none.
func (f Function) String() string {
	if names := FunctionNames(); int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("function-%d", uint8(f))
}

// Keyed tells whether the function uses the RSS key. Without a key, anybody who knows
// the function can send packets to a queue of their choice.
func (f Function) Keyed() bool { return f == FunctionToeplitz }

// XOR returns the exclusive or of the input's 32-bit words, big-endian, the last one
// padded with zeros. It is the simplest function that ethtool's name "xor" can stand for; Intel's
// 700 and 800 series have it ("simple hash"). Hardware differs: mlx4 and mlx5
// fold further to 8 bits, mlx5 inverted (MLX5_RX_HASH_FN_INVERTED_XOR8), see XOR8.
//
// Over IPv4 both directions of a flow have the same hash. There is no key.
func XOR(input []byte) uint32 {
	var hash uint32
	for i, b := range input {
		hash ^= uint32(b) << (24 - i%4*8)
	}
	return hash
}

// XOR8 returns the exclusive or of the input's bytes. It has 256 values, so it reaches at most 256
// entries of a table. mlx5 inverts it.
func XOR8(input []byte) uint32 {
	var hash byte
	for _, b := range input {
		hash ^= b
	}
	return uint32(hash)
}

// CRC32 returns the CRC of IEEE 802.3, the one of Ethernet's frame check sequence: reflected
// polynomial 0xedb88320, initial and final value all ones. Hardware may choose another initial
// value (ENA has one beside the key) or leave out the last inversion.
func CRC32(input []byte) uint32 {
	crc := ^uint32(0)
	for _, b := range input { // crc32.Update would make input escape to the heap
		crc = crc32.IEEETable[byte(crc)^b] ^ crc>>8
	}
	return ^crc
}
