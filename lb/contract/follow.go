package contract

import (
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testFollowing tests that fragments and ICMP errors go to the replica of their flow, and leave no trace.
func testFollowing(t *testing.T, open func(t *testing.T) Harness) {
	open = shared(t, open)
	for _, p := range protocols() {
		t.Run("errors "+p.String(), func(t *testing.T) { eachTracked(t, open, p, lb.TrackAlways, testErrorsFollow) })
		t.Run("fragments "+p.String(), func(t *testing.T) { eachTracked(t, open, p, lb.TrackAlways, testFragmentsFollow) })
	}
	t.Run("old flows", func(t *testing.T) { eachTracked(t, open, packet.TCP, lb.TrackChanges, testOldFlowsFollow) })
}

// errorGoes sends an ICMP error about a packet of the flow that came from the VIP.
func (b fixture) errorGoes(s lb.Service, f packet.Flow, to int, why string) {
	b.t.Helper()
	p := packetOf(f, 0)
	v := b.send(East, quote{}.build(p))
	p.Flow.Destination = s.Replicas[to].Address
	want := quote{}.build(sentBy(p, West, byte(to+1)))
	if v.Action != oracle.Redirect {
		b.t.Errorf("%s: an error about %v: %v", why, f, v.Action)
	}
	equal(b.t, why+": the error", hex(v.Frame), hex(want))
}

// indexOf is the number of the replica, that is one of the service's, which is on host number+1.
func indexOf(s lb.Service, f packet.Flow) int {
	a := owner(s, f)
	for i, r := range s.Replicas {
		if r.Address == a {
			return i
		}
	}
	return -1
}

// testErrorsFollow: errors follow recorded flows after a change. They neither promote a record nor reset its
// age.
func testErrorsFollow(b fixture, was lb.Service) {
	fs, unknown := clients(was, 1000, 12), clients(was, 3000, 12)
	for _, f := range fs {
		b.goes(f, flagSYN, owner(was, f), "a new flow")
	}
	s := with(was, lb.Draining, 0)
	b.set(s)
	before := b.flows(s.VIP)
	for i, f := range fs {
		b.errorGoes(was, f, indexOf(was, f), "a recorded flow")
		if g := unknown[i]; was.VIP.Protocol == packet.TCP {
			b.errorGoes(was, g, indexOf(was, g), "a flow from before")
		} else {
			b.errorGoes(was, g, indexOf(s, g), "a flow that is not recorded")
		}
	}
	equal(b.t, "flows after errors", b.flows(s.VIP), before)
	b.advance(idle / 2)
	for _, f := range fs {
		b.errorGoes(was, f, indexOf(was, f), "a recorded flow")
	}
	b.advance(idle/2 + step)
	b.remembers(s, "when nobody but errors was awake", 0, nil)
}

// testFragmentsFollow: a later fragment follows the flow of its first one.
func testFragmentsFollow(b fixture, was lb.Service) {
	for i, f := range clients(was, 1000, 12) {
		p := packetOf(f, flagSYN)
		p.Payload = make([]byte, 40)
		parts := p.fragments(uint32(100+i), 24)
		for _, part := range parts {
			b.partGoes(part, was, indexOf(was, f), "before a change")
		}
		s := with(was, lb.Draining, indexOf(was, f))
		b.set(s)
		flows := b.flows(s.VIP)
		for range 3 {
			b.partGoes(parts[1], was, indexOf(was, f), "after a change")
		}
		equal(b.t, "flows after later fragments", b.flows(s.VIP), flows)
		b.partGoes(parts[0], was, indexOf(was, f), "the first one again")
		b.set(was)
	}
}

// partGoes sends a fragment, which must go to the replica of that number.
func (b fixture) partGoes(part Packet, s lb.Service, to int, why string) {
	b.t.Helper()
	v := b.send(East, part.Frame())
	if v.Action != oracle.Redirect {
		b.t.Errorf("%s: a fragment: %v", why, v.Action)
		return
	}
	l, host := Links()[1], byte(to+1)
	mac := macOf(l, host)
	equal(b.t, why+": where a fragment goes", lb.MAC(v.Frame[:6]), mac)
	if got := destinationOf(v.Frame).Addr(); got != s.Replicas[to].Address.Addr() {
		b.t.Errorf("%s: a fragment goes to %v, want %v", why, got, s.Replicas[to].Address)
	}
}

// testOldFlowsFollow: later fragments and errors of flows from before go to the previous owner, and do not reset its age.
func testOldFlowsFollow(b fixture, was lb.Service) {
	fs := clients(was, 1000, 12)
	packets := make([][]Packet, len(fs))
	for i, f := range fs {
		p := packetOf(f, flagACK)
		p.Payload = make([]byte, 40)
		packets[i] = p.fragments(uint32(100+i), 24)
		b.partGoes(packets[i][0], was, indexOf(was, f), "before a change")
	}
	s := with(was, lb.Draining, 1)
	b.set(s)
	for range 2 {
		for i, f := range fs {
			b.partGoes(packets[i][1], was, indexOf(was, f), "a later fragment from before")
			b.errorGoes(was, f, indexOf(was, f), "an error about a flow from before")
		}
		b.advance(idle / 2)
	}
	b.advance(step)
	b.remembers(s, "when nobody but fragments and errors was awake", 0, nil)
	for i, f := range fs {
		b.partGoes(packets[i][1], s, indexOf(s, f), "a later fragment, forgotten")
	}
}

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
		b.becomes(frame, lb.ForThisHost, "its service is gone, and another has the address")
		unseen := p.fragments(6, 24)[1].Frame()
		b.becomes(unseen, lb.ForThisHost, "another service has the address")
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
