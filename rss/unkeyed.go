package rss

import "hash/crc32"

// XOR returns the exclusive or of the input's 32-bit words, big-endian, the last one
// padded with zeros. It is the simplest function that ethtool's name "xor" can stand for, as
// Intel's 700 and 800 series have it ("simple hash"). Hardware differs: mlx4 and mlx5
// fold on to 8 bits, mlx5 inverted (MLX5_RX_HASH_FN_INVERTED_XOR8), see XOR8.
//
// It is the same in both directions of a flow over IPv4, and knows no key.
func XOR(input []byte) uint32 {
	var hash uint32
	for i, b := range input {
		hash ^= uint32(b) << (24 - i%4*8)
	}
	return hash
}

// XOR8 returns the exclusive or of the input's bytes: at most 256 values, so that a table with
// more entries is not filled. mlx5 inverts it.
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
