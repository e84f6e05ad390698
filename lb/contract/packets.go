package contract

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// packetCase is a valid packet, one named change, and what must become of it. The packet
// without a change goes from a known client on East to the VIP that is called plain.
type packetCase struct {
	name string
	// only says for which packets the case makes sense; nil for all.
	only func(s scene) bool
	// packet changes the packet before it becomes bytes with right checksums.
	packet func(s scene, p *Packet)
	// build makes the bytes, Packet.Frame if it is nil. What is sent is built alike.
	build func(p Packet) []byte
	// bytes changes the frame after that; what is sent must have the same change.
	bytes func(s scene, frame []byte) []byte
	// ingress is the link it comes on, East when empty.
	ingress string
	want    outcome
}

// testPackets runs the cases for each address family, protocol and mode.
func testPackets(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range allScenes() {
		t.Run(s.name(), func(t *testing.T) {
			b := newFixture(t, open)
			b.set(s.services()...)
			for _, c := range packetCases(s) {
				if c.only == nil || c.only(s) {
					t.Run(c.name, func(t *testing.T) { fixture{b.Harness, t}.run(s, c) })
				}
			}
		})
	}
}

func packetCases(s scene) []packetCase {
	return slices.Concat(
		forwardCases(s), lookupCases(s), onlyFor(isNAT, returnCases()), headerCases(s), tagCases(s), onlyFor(isV4, optionCases()),
		onlyFor(isV6, extensionCases()), echoCases(s), errorCases(s), onlyFor(isNAT, errorReturnCases(s)), bigCases(s),
	)
}

// run sends the packet of a case and compares action, bytes, egress and every counter.
func (b fixture) run(s scene, c packetCase) {
	b.t.Helper()
	p := s.plain()
	if c.packet != nil {
		c.packet(s, &p)
	}
	if c.ingress == "" {
		c.ingress = East
	}
	build := func(p Packet) []byte { return c.frame(s, p) }
	want := s.kept(c.want, build(p))
	b.check(s, c.ingress, build(p), want, want.frame(s, c.ingress, p, build))
}

func (c packetCase) frame(s scene, p Packet) []byte {
	build := Packet.Frame
	if c.build != nil {
		build = c.build
	}
	frame := build(p)
	if c.bytes != nil {
		frame = c.bytes(s, frame)
	}
	return frame
}

// fits reports whether the harness can send a frame.
func (b fixture) fits(frame []byte) bool {
	return len(frame) >= b.MinFrame && len(frame) <= b.longest()
}

// check explains and sends a frame and compares what becomes of it with the outcome and the frame wanted.
func (b fixture) check(s scene, ingress string, frame []byte, o outcome, want []byte) {
	b.t.Helper()
	if !b.fits(frame) {
		return
	}
	before := b.counters()
	b.explainedFrame(ingress, frame, o, want)
	v := b.send(ingress, frame)
	equal(b.t, "counters moved", moved(before, b.counters()), o.counted(s, len(frame)).Counters)
	if v.Action != o.action {
		b.t.Errorf("action %v, want %v", v.Action, o.action)
	}
	if v.Reason != "" && v.Reason != o.reason {
		b.t.Errorf("reason %v, want %v", v.Reason, o.reason)
	}
	if v.Action != oracle.Drop {
		equal(b.t, "frame", hex(v.Frame), hex(want))
	}
	egress := o.egress
	if o.answer != nil {
		egress = ingress
	}
	if index := b.Indexes[egress]; b.Indexes != nil && v.Egress != index {
		b.t.Errorf("leaves by interface %d, want %d", v.Egress, index)
	}
	if b.t.Failed() {
		b.t.Logf("of the frame\n%q", hex(frame))
	}
}

// explainedFrame explains a frame that comes in on a link: the frame before and after, and the reason.
func (b fixture) explainedFrame(ingress string, frame []byte, o outcome, want []byte) {
	b.t.Helper()
	index := b.ingress(ingress)
	if index == 0 {
		return
	}
	e := b.explain(lb.Probe{Frame: frame, Ingress: index})
	equal(b.t, "reason explained", e.Reason, o.reason)
	equal(b.t, "frame before, explained", hex(e.Before), hex(frame))
	if o.action == oracle.Drop {
		want = nil
	}
	equal(b.t, "frame after, explained", hex(e.After), hex(want))
}

// ingress is the index of a link in probes, 0 if it is not known.
func (h Harness) ingress(link string) int {
	if h.Ingress != nil {
		return h.Ingress[link]
	}
	return h.Indexes[link]
}

// hex returns bytes in lines of 16, so that a difference is easy to see.
func hex(frame []byte) []string {
	var lines []string
	for chunk := range slices.Chunk(frame, 16) {
		lines = append(lines, fmt.Sprintf("% x", chunk))
	}
	return lines
}

func isNAT(s scene) bool { return s.mode == lb.NAT }

// testRandomPackets sends packets with random headers and payloads, also answers and ICMP errors. What leaves
// must be the packet that its sender would have sent to the replica, built from scratch.
func testRandomPackets(t *testing.T, open func(t *testing.T) Harness) {
	const packets = 20
	for i, s := range allScenes() {
		t.Run(s.name(), func(t *testing.T) {
			b, r := newFixture(t, open), rand.New(rand.NewPCG(1, uint64(i)))
			b.set(s.services()...)
			for n := range packets {
				for _, c := range randomCases(r, s) {
					t.Run(fmt.Sprintf("%s %d", c.name, n), func(t *testing.T) { fixture{b.Harness, t}.run(s, c) })
				}
			}
		})
	}
}

// randomCases returns a packet to the VIP, an error about one from the VIP and, by nat, an answer of the
// replica, all with random headers.
func randomCases(r *rand.Rand, s scene) []packetCase {
	outside, quoted := randomHeaders(r, s), randomHeaders(r, s)
	inside := func(p *Packet) {
		quoted(s, p)
		p.Tags = nil
	}
	west := sentTo(plain, West)
	cases := []packetCase{
		{name: "to the vip", packet: outside, want: west},
		{name: "error to the vip", packet: outside, build: quote{quoted: inside}.build, want: west.as(lb.ErrorForwarded)},
	}
	if s.mode == lb.NAT {
		cases = append(cases, packetCase{name: "answer", packet: all(answer, outside), ingress: West, want: returnedTo(East)})
	}
	return cases
}

// randomHeaders draws everything of a packet but its flow.
func randomHeaders(r *rand.Rand, s scene) func(scene, *Packet) {
	h := Packet{
		TTL: uint8(2 + r.IntN(254)), Tags: double[:r.IntN(3)], Class: uint8(r.Uint32()), ID: uint16(r.Uint32()),
		DontFragment: r.IntN(2) == 0, Payload: randomPayload(r),
	}
	h.Payload = h.Payload[:min(len(h.Payload), 200)]
	if s.v4 {
		h.Options = slices.Repeat([]byte{1}, 4*r.IntN(11))
	} else {
		h.Label, h.ID = r.Uint32N(1<<20), 0
		for range r.IntN(mostExtensions + 1) {
			h.Extensions = append(h.Extensions, header([]byte{0, 43, 60}[r.IntN(3)], 8*(1+r.IntN(3))))
		}
	}
	return func(_ scene, p *Packet) {
		p.TTL, p.Tags, p.Class, p.Label, p.ID, p.DontFragment = h.TTL, h.Tags, h.Class, h.Label, h.ID, h.DontFragment
		p.Options, p.Extensions, p.Payload = h.Options, h.Extensions, h.Payload
	}
}
