package contract

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
)

// mutation is one named change of a frame.
type mutation struct {
	name string
	// of selects the frames that can be changed so; apply may write to its argument.
	of    func(frame []byte) bool
	apply func(r *rand.Rand, frame []byte) []byte
}

// mutations returns all changes. Nobody may write to the list.
var mutations = sync.OnceValue(func() []mutation {
	return slices.Concat(frameMutations(), ipv4Mutations(), ipv6Mutations(), l4Mutations())
})

// randomMutation returns one that can be made of the frame.
func randomMutation(r *rand.Rand, frame []byte) mutation {
	var fitting []int
	for i, m := range mutations() {
		if m.of(frame) {
			fitting = append(fitting, i)
		}
	}
	return mutations()[fitting[r.IntN(len(fitting))]]
}

// change makes a mutation that writes one or two random bytes at an offset of frames of a kind.
func change(name string, of func([]byte) bool, at func([]byte) int, choose func(r *rand.Rand, was []byte)) mutation {
	const widest = 2
	return mutation{
		name: name,
		of:   func(frame []byte) bool { return of(frame) && at(frame)+widest <= len(frame) },
		apply: func(r *rand.Rand, frame []byte) []byte {
			choose(r, frame[at(frame):])
			return frame
		},
	}
}

// in returns the same offset for every frame.
func in(offset int) func([]byte) int { return func([]byte) int { return offset } }

// anything writes random bits over those of the mask; the mask is a byte, or two.
func anything(mask ...byte) func(r *rand.Rand, was []byte) {
	return func(r *rand.Rand, was []byte) {
		for i, m := range mask {
			was[i] = was[i]&^m | byte(r.Uint32())&m
		}
	}
}

// oneOf writes one of the bytes.
func oneOf(values ...byte) func(r *rand.Rand, was []byte) {
	return func(r *rand.Rand, was []byte) { was[0] = values[r.IntN(len(values))] }
}

// oneOf16 writes one of the numbers.
func oneOf16(values ...uint16) func(r *rand.Rand, was []byte) {
	return func(r *rand.Rand, was []byte) { binary.BigEndian.PutUint16(was, values[r.IntN(len(values))]) }
}

// nearby adds a small number, maybe 0, to a 16-bit field.
func nearby(r *rand.Rand, was []byte) {
	binary.BigEndian.PutUint16(was, binary.BigEndian.Uint16(was)+uint16(r.IntN(81))-40)
}

// anyFrame is the kind of every frame; hasIPv4 and hasIPv6 tell by the EtherType.
func anyFrame([]byte) bool { return true }

func notEmpty(frame []byte) bool { return len(frame) > 0 }

func hasIPv4(frame []byte) bool { return len(frame) >= 34 && frame[12] == 8 && frame[13] == 0 }

func hasIPv6(frame []byte) bool { return len(frame) >= 54 && frame[12] == 0x86 && frame[13] == 0xdd }

func hasIP(frame []byte) bool { return hasIPv4(frame) || hasIPv6(frame) }

func hasTCP(frame []byte) bool {
	return hasIPv4(frame) && frame[23] == 6 || hasIPv6(frame) && frame[20] == 6
}

func hasUDP(frame []byte) bool {
	return hasIPv4(frame) && frame[23] == 17 || hasIPv6(frame) && frame[20] == 17
}

// inL4 returns an offset in the header of TCP or UDP.
func inL4(offset int) func([]byte) int {
	return func(frame []byte) int {
		if hasIPv4(frame) {
			return 34 + offset
		}
		return 54 + offset
	}
}

func frameMutations() []mutation {
	return []mutation{
		change("an ethertype", anyFrame, in(12), anything(0xff, 0xff)),
		change("a likely ethertype", anyFrame, in(12), oneOf16(0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806, 0x9100, 0x8864, 0x0008)),
		{"a group's mac address", notEmpty, func(_ *rand.Rand, frame []byte) []byte {
			frame[0] |= 1
			return frame
		}},
		{"a cut", anyFrame, func(r *rand.Rand, frame []byte) []byte { return frame[:r.IntN(len(frame)+1)] }},
		{"padding", anyFrame, func(r *rand.Rand, frame []byte) []byte { return append(frame, make([]byte, 1+r.IntN(46))...) }},
		{"a vlan tag", hasIP, insertion(12, 0x81, 0x00, 0x00, 0x07)},
		{"a service tag", hasIP, insertion(12, 0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x08)},
		{"three tags", hasIP, insertion(12, 0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x08, 0x81, 0x00, 0x00, 0x09)},
		{"a flipped bit", notEmpty, flip(0, 1<<12)},
		{"a flipped bit of a header", notEmpty, flip(0, 74)},
		{"a random byte", notEmpty, func(r *rand.Rand, frame []byte) []byte {
			frame[r.IntN(len(frame))] = byte(r.Uint32())
			return frame
		}},
		{"random bytes after ethernet", hasIP, func(r *rand.Rand, frame []byte) []byte {
			for i := ethernet; i < len(frame); i++ {
				frame[i] = byte(r.Uint32())
			}
			return frame
		}},
	}
}

// flip turns one bit of the bytes from, up to but not to.
func flip(from, to int) func(*rand.Rand, []byte) []byte {
	return func(r *rand.Rand, frame []byte) []byte {
		frame[from+r.IntN(min(to, len(frame))-from)] ^= 1 << r.IntN(8)
		return frame
	}
}

// insertion puts bytes at an offset.
func insertion(at int, bytes ...byte) func(*rand.Rand, []byte) []byte {
	return func(_ *rand.Rand, frame []byte) []byte {
		return slices.Insert(frame, at, bytes...)
	}
}

func l4Mutations() []mutation {
	return []mutation{
		change("a source port", hasIP, inL4(0), anything(0xff, 0xff)),
		change("a destination port", hasIP, inL4(2), anything(0xff, 0xff)),
		change("a likely port", hasIP, inL4(2), oneOf16(0, 80, 81, 0x5000, 8001, 8002, 8257)),
		change("a data offset", hasTCP, inL4(12), anything(0xf0)),
		change("tcp flags", hasTCP, inL4(12), anything(0x0f, 0xff)),
		change("a tcp checksum", hasTCP, inL4(16), anything(0xff, 0xff)),
		change("a likely tcp checksum", hasTCP, inL4(16), oneOf16(0, 1, 0xfffe, 0xffff)),
		change("an urgent pointer", hasTCP, inL4(18), anything(0xff, 0xff)),
		change("a udp length", hasUDP, inL4(4), anything(0xff, 0xff)),
		change("a udp length nearby", hasUDP, inL4(4), nearby),
		change("a likely udp length", hasUDP, inL4(4), oneOf16(0, 1, 7, 8, 9, 0xffff)),
		change("a udp checksum", hasUDP, inL4(6), anything(0xff, 0xff)),
		change("a likely udp checksum", hasUDP, inL4(6), oneOf16(0, 0, 0, 1, 0xfffe, 0xffff)),
	}
}

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
