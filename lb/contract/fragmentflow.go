package contract

import (
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// sentOn sends a frame, which must leave by another link.
func (b fixture) sentOn(frame []byte) oracle.Verdict {
	b.t.Helper()
	v := b.send(East, frame)
	if v.Action != oracle.Redirect {
		b.t.Errorf("action %v, want %v", v.Action, oracle.Redirect)
	}
	return v
}

// testFragmentReused sends fragments of two packets with one id: the last first fragment counts.
func testFragmentReused(b fixture) {
	for _, f := range families() {
		one := f.service(1, packet.TCP, f.on(West, 1, 8080))
		two := f.service(1, packet.TCP, f.on(Narrow, 2, 8080))
		two.VIP.Address = withPort(two.VIP.Address, 81)
		b.set(one, two)
		for i, s := range []lb.Service{one, two, one} {
			p := Packet{Flow: flowTo(s.VIP), TTL: 64, Payload: make([]byte, 40)}
			link, host := West, byte(1)
			if i == 1 {
				link, host = Narrow, 2
			}
			want := p
			want.Flow.Destination = s.Replicas[0].Address
			want = sentBy(want, link, host)
			for part, fragment := range p.fragments(5, 24) {
				v := b.sentOn(fragment.Frame())
				equal(b.t, "fragment", hex(v.Frame), hex(want.fragments(5, 24)[part].Frame()))
			}
		}
		b.remove(one.VIP)
		b.remove(two.VIP)
	}
}

// testFragmentService removes the service between two fragments.
func testFragmentService(b fixture) {
	for _, f := range families() {
		s, other := f.service(1, packet.UDP, f.on(West, 1, 8080)), f.service(1, packet.TCP)
		b.set(s, other)
		p := Packet{Flow: flowTo(s.VIP), TTL: 64, Payload: make([]byte, 40)}
		b.sentOn(p.fragments(5, 24)[0].Frame())
		b.remove(s.VIP)
		frame := p.fragments(5, 24)[1].Frame()
		b.becomes(frame, lb.NotOurs, "its service is gone")
		unseen := p.fragments(6, 24)[1].Frame()
		b.becomes(unseen, lb.FragmentOrphan, "another service has the address")
		b.remove(other.VIP)
		b.becomes(unseen, lb.NotOurs, "nobody has the address")
		b.set(s)
		b.sentOn(frame)
		b.remove(s.VIP)
	}
}

// becomes sends a frame, which must end in a reason.
func (b fixture) becomes(frame []byte, reason lb.Reason, why string) {
	b.t.Helper()
	before := b.counters()
	b.send(East, frame)
	want := newTally()
	want.add(reason, len(frame))
	equal(b.t, "counters moved when "+why, moved(before, b.counters()), want.Counters)
}
