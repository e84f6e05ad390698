package oracle

import "encoding/binary"

// replace writes an even number of bytes at an offset, and updates the checksums at the
// offsets given.
func replace(b []byte, at int, bytes []byte, checksums []int) {
	for i := 0; i < len(bytes); i += 2 {
		was, is := binary.BigEndian.Uint16(b[at+i:]), binary.BigEndian.Uint16(bytes[i:])
		if was == is {
			continue // a checksum of 0xffff would become its equal 0
		}
		for _, c := range checksums {
			updated := update(binary.BigEndian.Uint16(b[c:]), was, is)
			binary.BigEndian.PutUint16(b[c:], updated)
		}
	}
	copy(b[at:], bytes)
}

// update returns the checksum after one 16-bit word has changed: RFC 1624, equation 3,
// HC' = ~(~HC + ~m + m').
func update(checksum, was, is uint16) uint16 {
	return ^fold(uint32(^checksum) + uint32(^was) + uint32(is))
}

// avoidZero writes UDP's checksum 0 as its equal 0xffff: 0 means that there is none.
func avoidZero(checksum []byte) {
	if binary.BigEndian.Uint16(checksum) == 0 {
		binary.BigEndian.PutUint16(checksum, 0xffff)
	}
}

// writeChecksum computes a checksum from scratch (RFC 1071) over bytes, among which it is, and over a
// pseudo header before them. Both have an even number of bytes.
func writeChecksum(b []byte, at int, pseudo []byte) {
	b[at], b[at+1] = 0, 0
	binary.BigEndian.PutUint16(b[at:], ^fold(sumWords(b)+sumWords(pseudo)))
}

// sumWords adds up the 16-bit words of up to 128 KiB.
func sumWords(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	return sum
}

// fold adds the carries of a sum of words in ones' complement arithmetic.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
