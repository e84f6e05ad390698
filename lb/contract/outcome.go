package contract

import (
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// outcome is what becomes of a packet. The zero value is not valid.
type outcome struct {
	action oracle.Action
	reason lb.Reason
	// egress is the link by which it leaves, with host the number of the next hop there. A frame that is
	// sent back in answer leaves by the ingress.
	egress string
	host   byte
	// service is the VIP to whose replica the packet goes, 0 if it goes to none.
	service byte
	// rewrite changes a packet that does not go to a replica, answer makes one out of it and its frame. With
	// neither the frame stays untouched.
	rewrite func(s scene, p *Packet)
	answer  func(p Packet, frame []byte) []byte
}

// frame returns what leaves or is passed of a packet.
func (o outcome) frame(s scene, ingress string, p Packet, build func(Packet) []byte) []byte {
	switch {
	case o.service != 0:
		return s.delivered(o, ingress, p, build)
	case o.answer != nil:
		return o.answer(p, build(p))
	case o.rewrite == nil:
		return build(p)
	}
	o.rewrite(s, &p)
	if o.egress != "" {
		p = sentBy(p, o.egress, o.host)
	}
	if o.egress != "" && o.egress != ingress {
		p.Tags = nil
	}
	return build(p)
}

// counted returns the counters that one packet with this outcome moves.
func (o outcome) counted(s scene, bytes int) tally {
	t := newTally()
	if o.reason == lb.Forwarded {
		t.addForwarded(s.moded(s.service(o.service, s.protocol)).VIP, s.replica(o.service), bytes)
		return t
	}
	t.add(o.reason, bytes)
	return t
}

// sentTo is the outcome of a packet to the replica of a VIP, host 1 of the link.
func sentTo(vip byte, link string) outcome {
	return outcome{action: oracle.Redirect, reason: lb.Forwarded, egress: link, host: 1, service: vip}
}

// by returns the outcome with another action, as returns it with another reason.
func (o outcome) by(a oracle.Action) outcome {
	o.action = a
	return o
}

func (o outcome) as(r lb.Reason) outcome {
	o.reason = r
	return o
}

// waiting is the outcome of a packet to the replica of a VIP whose MAC address is not known.
func (s scene) waiting(vip byte) outcome {
	if s.mode != lb.NAT {
		return dropped(lb.NeighbourPending)
	}
	return outcome{action: oracle.Pass, reason: lb.NeighbourMissing, service: vip}
}

// mortal is the outcome of a packet whose TTL has expired: dsr does not look at the TTL.
func (s scene) mortal(otherwise outcome) outcome {
	if s.mode == lb.DSR {
		return otherwise
	}
	return passed(lb.TTLExpired)
}

// returnedTo is the outcome of an answer of plain's replica to host 1 of the link.
func returnedTo(link string) outcome {
	return outcome{
		action: oracle.Redirect, reason: lb.Returned, egress: link, host: 1,
		rewrite: func(s scene, p *Packet) { p.Flow.Source = s.vip(plain, s.protocol).Address },
	}
}

func dropped(r lb.Reason) outcome { return outcome{action: oracle.Drop, reason: r} }

func passed(r lb.Reason) outcome { return outcome{action: oracle.Pass, reason: r} }

// told is the outcome of a packet that is too big and whose sender is told the MTU that it may have: RFC 1191,
// RFC 4443.
func told(mtu int) outcome {
	return outcome{action: oracle.Transmit, reason: lb.TooBigAnswered, answer: func(p Packet, frame []byte) []byte {
		back := Packet{Flow: p.Flow.Reverse(), TTL: 64, Source: p.Destination, Destination: p.Source, Tags: p.Tags}
		ip, rest := frame[ethernet+4*len(p.Tags):], [4]byte{0, 0, byte(mtu >> 8), byte(mtu)}
		if p.Flow.Source.Addr().Is4() {
			back.Class = 0xc0
			return back.icmp(3, 4, rest, ip[:68]).Frame()
		}
		return back.icmp(2, 0, rest, ip[:128]).Frame()
	}}
}

// told is the outcome of a packet whose sender is told that the way to the replica has that MTU. Of IPv6 it is told no
// less than every link carries.
func (s scene) told(mtu int) outcome {
	mtu -= s.overhead()
	if !s.v4 {
		mtu = max(mtu, 1280)
	}
	return told(mtu)
}

// cut is the outcome of a packet to the replica of a VIP that the kernel is given to send, since it cuts what is too
// long for the way; only of mode nat.
func cut(vip byte) outcome {
	return outcome{action: oracle.Pass, reason: lb.TooBigPassed, service: vip}
}
