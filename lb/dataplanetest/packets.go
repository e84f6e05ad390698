package dataplanetest

import (
	"fmt"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/model"
	"lbctl/rss/packet"
)

// packetCase is a valid packet, one named change, and what must become of it. The packet
// without a change goes from a known client on East to the VIP that is called plain.
type packetCase struct {
	name string
	// only says for which packets the case makes sense; nil for all.
	only func(s scene) bool
	// packet changes the packet before it becomes bytes with right checksums.
	packet func(s scene, p *Packet)
	// bytes changes the frame after that; what is sent must have the same change.
	bytes func(s scene, frame []byte) []byte
	// out makes what is to be sent or passed; nil: the rewritten packet with the same change. It
	// is given the frame that came and the rewritten packet without the change.
	out func(s scene, in, out []byte) []byte
	// ingress is the link it comes on, East when empty.
	ingress string
	want    outcome
}

// outcome is what becomes of a packet. The zero value is not valid.
type outcome struct {
	action model.Action
	reason lb.Reason
	// egress is the link by which it leaves, with host the number of the next hop there.
	egress string
	host   byte
	// rewrite changes the flow; nil when the frame stays untouched.
	rewrite func(s scene, f *packet.Flow)
	// service is the VIP to which the packet is counted when it is forwarded.
	service byte
}

// testPackets runs the cases for each address family and protocol.
func testPackets(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range scenes() {
		t.Run(s.name(), func(t *testing.T) {
			b := newBench(t, open)
			b.set(s.services()...)
			for _, c := range slices.Concat(forwardCases(), lookupCases(), returnCases(), headerCases(), icmpCases()) {
				if c.only == nil || c.only(s) {
					t.Run(c.name, func(t *testing.T) { bench{b.Harness, t}.run(s, c) })
				}
			}
		})
	}
}

// run sends the packet of a case and compares action, bytes, egress and every counter.
func (b bench) run(s scene, c packetCase) {
	b.t.Helper()
	p := s.plain()
	if c.packet != nil {
		c.packet(s, &p)
	}
	frame := c.frame(s, p)
	if len(frame) > b.longest() || len(frame) < b.MinFrame {
		b.t.Skipf("a frame of %d bytes, the harness has %d to %d", len(frame), b.MinFrame, b.longest())
	}
	before := b.counters()
	ingress := c.ingress
	if ingress == "" {
		ingress = East
	}
	v := b.send(ingress, frame)
	equal(b.t, "counters moved", moved(before, b.counters()), c.want.counted(s, len(frame)).Counters)
	b.judge(s, c, p, frame, v)
}

func (c packetCase) frame(s scene, p Packet) []byte {
	frame := p.Frame()
	if c.bytes != nil {
		frame = c.bytes(s, frame)
	}
	return frame
}

// judge compares a verdict with the outcome wanted of packet p, which is frame.
func (b bench) judge(s scene, c packetCase, p Packet, frame []byte, v model.Verdict) {
	b.t.Helper()
	want := frame
	if c.want.rewrite != nil {
		c.want.rewrite(s, &p.Flow)
		if c.want.egress != "" {
			p = sentBy(p, c.want.egress, c.want.host)
		}
		want = c.frame(s, p)
	}
	if c.out != nil {
		want = c.out(s, frame, p.Frame())
	}
	if v.Action != c.want.action {
		b.t.Errorf("action %v, want %v", v.Action, c.want.action)
	}
	if v.Reason != "" && v.Reason != c.want.reason {
		b.t.Errorf("reason %v, want %v", v.Reason, c.want.reason)
	}
	if v.Action != model.Drop {
		equal(b.t, "frame", hex(v.Frame), hex(want))
	}
	if egress := b.Indexes[c.want.egress]; b.Indexes != nil && v.Egress != egress {
		b.t.Errorf("leaves by interface %d, want %d", v.Egress, egress)
	}
}

// hex returns bytes in lines of 16, so that a difference is easy to see.
func hex(frame []byte) []string {
	var lines []string
	for chunk := range slices.Chunk(frame, 16) {
		lines = append(lines, fmt.Sprintf("% x", chunk))
	}
	return lines
}

// counted returns the counters that one packet with this outcome moves.
func (o outcome) counted(s scene, bytes int) tally {
	t := newTally()
	if o.reason != lb.Forwarded {
		t.add(o.reason, bytes)
		return t
	}
	f := s.plain().Flow
	o.rewrite(s, &f)
	t.addForwarded(s.vip(o.service, s.protocol), f.Destination, bytes)
	return t
}
