package contract

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// sweep sends one packet for every value of one field.
type sweep struct {
	name   string
	scenes func(s scene) bool
	// values is the number of values, from 0.
	values func(s scene) int
	// change makes the frame for a value out of the valid packet; want its outcome.
	change func(s scene, frame []byte, value int) []byte
	want   func(s scene, value int) outcome
}

// testSweeps sends whole ranges of values, and compares the counters after each range.
func testSweeps(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range scenes() {
		t.Run(s.name(), func(t *testing.T) {
			b := newFixture(t, open)
			b.set(s.services()...)
			for _, w := range sweeps() {
				if w.scenes == nil || w.scenes(s) {
					t.Run(w.name, func(t *testing.T) { fixture{b.Harness, t}.sweep(s, w) })
				}
			}
		})
	}
}

func (b fixture) sweep(s scene, w sweep) {
	before, total := b.counters(), newTally()
	for value := range w.values(s) {
		frame := w.change(s, s.plain().Frame(), value)
		if len(frame) < b.MinFrame {
			continue
		}
		want := w.want(s, value)
		if want.reason == lb.Forwarded {
			total.addForwarded(s.vip(plain, s.protocol), s.replica(plain), len(frame))
		} else {
			total.add(want.reason, len(frame))
		}
		v := b.send(East, frame)
		if v.Action != want.action {
			b.t.Errorf("%s %d: action %v, want %v (%v)", w.name, value, v.Action, want.action, want.reason)
		}
		if v.Action == oracle.Pass && !slices.Equal(v.Frame, frame) {
			b.t.Errorf("%s %d: passed, but changed", w.name, value)
		}
	}
	equal(b.t, "counters moved", moved(before, b.counters()), total.Counters)
}

func sweeps() []sweep {
	return []sweep{
		{
			name:   "cut at byte",
			values: func(s scene) int { return len(s.plain().Frame()) },
			change: func(_ scene, frame []byte, n int) []byte { return frame[:n] },
			want:   wantOfLength,
		},
		{
			name:   "ethertype",
			scenes: func(s scene) bool { return s.v4 && isTCP(s) },
			values: func(scene) int { return 1 << 16 },
			change: func(_ scene, frame []byte, n int) []byte {
				binary.BigEndian.PutUint16(frame[12:], uint16(n))
				return frame
			},
			want: wantOfEtherType,
		},
		{
			name:   "protocol",
			values: func(scene) int { return 1 << 8 },
			change: func(s scene, frame []byte, n int) []byte {
				at := 9
				if !s.v4 {
					at = 6
				}
				return pokeIP(at, byte(n))(s, frame)
			},
			want: wantOfProtocol,
		},
		{
			name:   "data offset",
			scenes: isTCP,
			values: func(scene) int { return 16 },
			change: func(s scene, frame []byte, n int) []byte { return pokeL4(12, byte(n)<<4)(s, frame) },
			want:   wantOfDataOffset,
		},
	}
}

func wantOfLength(_ scene, n int) outcome {
	if n < ethernet {
		return dropped(lb.MalformedEthernet)
	}
	return dropped(lb.MalformedIP)
}

// wantOfEtherType: behind the EtherType of a tag, the length of the IPv4 packet is read as an EtherType.
func wantOfEtherType(_ scene, n int) outcome {
	switch n {
	case 0x0800:
		return sentTo(plain, West)
	case 0x86dd:
		return dropped(lb.MalformedIP)
	}
	return passed(lb.NotIP)
}

// wantOfProtocol: the source port 40000, read as an ICMP type, is of no consequence, and as the length of an
// extension header is too long. The port 80 is the offset of a later fragment. TCP's sequence number 0x1234,
// read as the length of UDP, is too long. UDP read as TCP has letters of the payload as its data offset, which
// is 7 words.
func wantOfProtocol(s scene, n int) outcome {
	switch p := packet.Protocol(n); {
	case p == s.protocol:
		return sentTo(plain, West)
	case p == packet.UDP:
		return dropped(lb.MalformedL4)
	case s.v4:
		return passed(lb.ForThisHost)
	case n == 0 || n == 43 || n == 60:
		return dropped(lb.MalformedIP)
	}
	return passed(lb.ForThisHost)
}

// wantOfDataOffset: 20 bytes of header and 44 of payload hold any data offset.
func wantOfDataOffset(_ scene, n int) outcome {
	if n < 5 {
		return dropped(lb.MalformedL4)
	}
	return sentTo(plain, West)
}

// testFamilies tests that IPv6 addresses that contain an IPv4 address, at whatever place, are not taken for
// that.
func testFamilies(t *testing.T, open func(t *testing.T) Harness) {
	b := newFixture(t, open)
	for _, p := range protocols() {
		for name, embed := range embeddings() {
			t.Run(name+" "+p.String(), func(t *testing.T) {
				b := fixture{b.Harness, t}
				s := ipv4.service(1, p, ipv4.on(West, 1, 8080))
				b.set(s)
				b.isNotOurs(packet.Flow{Source: ipv6.on(East, 1, 4000), Destination: embed(s.VIP.Address), Protocol: p})
				b.isNotOurs(packet.Flow{Source: embed(s.Replicas[0].Address), Destination: ipv6.on(East, 1, 4000), Protocol: p})
				b.reaches(s.VIP, s.Replicas[0])
			})
		}
	}
	t.Run("side by side", func(t *testing.T) { testSideBySide(newFixture(t, open)) })
}

// embeddings are ways to write an IPv4 address into an IPv6 one.
func embeddings() map[string]func(netip.AddrPort) netip.AddrPort {
	at := func(prefix []byte, offset int) func(netip.AddrPort) netip.AddrPort {
		return func(a netip.AddrPort) netip.AddrPort {
			var bytes [16]byte
			copy(bytes[:], prefix)
			copy(bytes[offset:], a.Addr().AsSlice())
			return netip.AddrPortFrom(netip.AddrFrom16(bytes), a.Port())
		}
	}
	return map[string]func(netip.AddrPort) netip.AddrPort{
		"mapped":     mapped,
		"compatible": at(nil, 12),
		"in front":   at(nil, 0),
		"nat64":      at([]byte{0, 0x64, 0xff, 0x9b}, 12),
	}
}

// testSideBySide has both families and both protocols at once.
func testSideBySide(b fixture) {
	var all []lb.Service
	for _, f := range families() {
		for _, p := range protocols() {
			all = append(all, f.service(1, p, f.on(West, byte(len(all)+1), 8080)))
		}
	}
	b.set(all...)
	for _, s := range all {
		b.reaches(s.VIP, s.Replicas[0])
	}
}
