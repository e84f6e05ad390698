package contract

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

func ipv4Mutations() []mutation {
	return []mutation{
		change("an ipv4 version", hasIPv4, in(14), anything(0xf0)),
		change("an ihl", hasIPv4, in(14), anything(0x0f)),
		change("a tos", hasIPv4, in(15), anything(0xff)),
		change("a total length", hasIPv4, in(16), anything(0xff, 0xff)),
		change("a total length nearby", hasIPv4, in(16), nearby),
		change("a likely total length", hasIPv4, in(16), oneOf16(0, 19, 20, 21, 27, 28, 29, 39, 40, 41, 1280, 1500, 0xffff)),
		change("an id", hasIPv4, in(18), anything(0x00, 0x07)),
		{"a fragment", hasIPv4, fragmentV4},
		change("flags and offset", hasIPv4, in(20), anything(0xff, 0xff)),
		change("flags", hasIPv4, in(20), anything(0xe0)),
		change("a likely offset", hasIPv4, in(20), oneOf16(0, 0x4000, 0x2000, 0x8000, 1, 0x1fff, 0x20b9)),
		change("a ttl", hasIPv4, in(22), oneOf(0, 1, 2, 3, 255)),
		change("a protocol", hasIPv4, in(23), anything(0xff)),
		change("a likely protocol", hasIPv4, in(23), oneOf(0, 1, 4, 6, 17, 41, 44, 47, 50, 58, 132)),
		change("a header checksum", hasIPv4, in(24), oneOf16(0, 1, 0xfeff, 0xff00, 0xfffe, 0xffff)),
		{"a bit of an ipv4 address", hasIPv4, flip(26, 34)},
		{"ipv4 options", withoutOptions, ipv4Options},
		change("an odd source", hasIPv4, in(26), oneOf16(0, 0x7f00, 0xe000, 0xffff)),
	}
}

func ipv6Mutations() []mutation {
	return []mutation{
		change("an ipv6 version", hasIPv6, in(14), anything(0xf0)),
		change("a traffic class", hasIPv6, in(14), anything(0x0f, 0xf0)),
		change("a flow label", hasIPv6, in(16), anything(0xff, 0xff)),
		change("a payload length", hasIPv6, in(18), anything(0xff, 0xff)),
		change("a payload length nearby", hasIPv6, in(18), nearby),
		change("a likely payload length", hasIPv6, in(18), oneOf16(0, 1, 7, 8, 9, 19, 20, 21, 1240, 1460, 0xffff)),
		change("a next header", hasIPv6, in(20), anything(0xff)),
		change("a likely next header", hasIPv6, in(20), oneOf(0, 6, 17, 43, 44, 50, 51, 58, 59, 60, 135, 139, 140, 253, 1)),
		change("a hop limit", hasIPv6, in(21), oneOf(0, 1, 2, 3, 255)),
		{"a bit of an ipv6 address", hasIPv6, flip(22, 54)},
		{"an extension header", hasIPv6, extensionHeader},
		{"more extension headers", hasIPv6, extensionHeaders},
		{"a fragment header", hasIPv6, fragmentV6},
		{"a mapped source", hasIPv6, mapAddress(22)},
		{"a mapped destination", hasIPv6, mapAddress(38)},
		{"ipv4 in the ipv6 header", hasIPv4, ipv4AsIPv6},
	}
}

// mapAddress writes ::ffff:0:0/96 over the front of an IPv6 address.
func mapAddress(at int) func(*rand.Rand, []byte) []byte {
	return func(_ *rand.Rand, frame []byte) []byte {
		copy(frame[at:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})
		return frame
	}
}

// ipv4AsIPv6 makes an IPv6 packet with mapped addresses of an IPv4 packet.
func ipv4AsIPv6(_ *rand.Rand, frame []byte) []byte {
	v6 := append(slices.Clone(frame[:12]), 0x86, 0xdd, 0x60, 0, 0, 0)
	v6 = binary.BigEndian.AppendUint16(v6, uint16(len(frame)-34))
	v6 = append(v6, frame[23], frame[22])
	for _, at := range []int{26, 30} {
		v6 = append(v6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)
		v6 = append(v6, frame[at:at+4]...)
	}
	return append(v6, frame[34:]...)
}

// withoutOptions selects IPv4 packets with a header of 20 bytes.
func withoutOptions(frame []byte) bool { return hasIPv4(frame) && frame[14] == 0x45 }

// ipv4Options inserts 4 to 40 bytes of options, with the lengths that belong to them.
func ipv4Options(r *rand.Rand, frame []byte) []byte {
	words := 1 + r.IntN(10)
	frame = slices.Insert(frame, 34, slices.Repeat([]byte{1}, 4*words)...) // no operation
	frame[14] += byte(words)
	binary.BigEndian.PutUint16(frame[16:], binary.BigEndian.Uint16(frame[16:])+uint16(4*words))
	return frame
}

// extensionHeader inserts an extension header of 8 bytes and one of the likely numbers.
func extensionHeader(r *rand.Rand, frame []byte) []byte {
	next := frame[20]
	frame = slices.Insert(frame, 54, next, 0, 1, 4, 0, 0, 0, 0)
	oneOf(0, 43, 44, 51, 60, 135, 139, 140)(r, frame[20:])
	binary.BigEndian.PutUint16(frame[18:], binary.BigEndian.Uint16(frame[18:])+8)
	return frame
}

// extensionHeaders inserts up to eight of them.
func extensionHeaders(r *rand.Rand, frame []byte) []byte {
	for range 1 + r.IntN(8) {
		next := frame[20]
		frame = slices.Insert(frame, 54, next, 0, 0, 0, 0, 0, 0, 0)
		oneOf(0, 43, 60, 60, 60)(r, frame[20:])
		binary.BigEndian.PutUint16(frame[18:], binary.BigEndian.Uint16(frame[18:])+8)
	}
	return frame
}

// fragmentV4 makes one of few fragments of one of few packets.
func fragmentV4(r *rand.Rand, frame []byte) []byte {
	frame[18], frame[19] = 0, byte(r.IntN(3))
	oneOf16(0x2000, 0x2000, 0x2005, 0x0009)(r, frame[20:])
	return frame
}

// fragmentV6 inserts the header of one.
func fragmentV6(r *rand.Rand, frame []byte) []byte {
	frame = slices.Insert(frame, 54, frame[20], 0, 0, 0, 0, 0, 0, byte(r.IntN(3)))
	frame[20] = 44
	oneOf16(1, 1, 0x29, 0x48)(r, frame[56:])
	binary.BigEndian.PutUint16(frame[18:], binary.BigEndian.Uint16(frame[18:])+8)
	return frame
}
