package contract

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// mutation is one named change of a frame.
type mutation struct {
	name string
	// of selects the frames that can be changed so; apply may write to its argument.
	of    func(frame []byte) bool
	apply func(r *rand.Rand, frame []byte) []byte
}

// mutations returns all changes.
func mutations() []mutation {
	return slices.Concat(frameMutations(), ipv4Mutations(), ipv6Mutations(), l4Mutations())
}

// randomMutation returns one that can be made of the frame.
func randomMutation(r *rand.Rand, frame []byte) mutation {
	fitting := slices.DeleteFunc(mutations(), func(m mutation) bool { return !m.of(frame) })
	return fitting[r.IntN(len(fitting))]
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
