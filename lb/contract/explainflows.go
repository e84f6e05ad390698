package contract

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// explainsFlow explains the next packet of a flow by nat to a replica on West.
func (b fixture) explainsFlow(what string, s lb.Service, f packet.Flow, flags uint8, change func(e *lb.Explanation)) {
	b.t.Helper()
	p := packetOf(f, flags)
	e := hashed(explanation(lb.Forwarded, f, p.Frame()), s)
	e.Replica, e.Choice = e.Owner, lb.ByOwner
	change(&e)
	if e.Reason == lb.Forwarded {
		p.Flow.Destination = e.Replica
		host := e.Replica.Addr().AsSlice()
		e.NextHop = hopTo(West, host[len(host)-1])
		e.Rewritten, e.After = p.Flow, sentBy(p, West, host[len(host)-1]).Frame()
	}
	b.explainsAll(what, e.Before, e)
}

// testExplainFlows explains flows in every state that they can be in.
func testExplainFlows(b fixture) {
	for _, f := range families() {
		for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
			was := f.remembering(packet.TCP, scheduler, lb.TrackChanges)
			s := with(was, lb.Draining, 1)
			b.set(was)
			flow := b.transitionFlow(was, s)
			b.explainsFlow("settled", was, flow, flagSYN, func(*lb.Explanation) {})
			b.set(s)
			b.explainsTransition(was, s, flow)
			b.explainsEnd(was, s, flow)
			b.remove(s.VIP)
		}
	}
}

// transitionFlow returns a flow of replica 1 whose slot a change puts into transition.
func (b fixture) transitionFlow(was, is lb.Service) packet.Flow {
	for _, f := range clients(was, 1000, 1000) {
		if owner(was, f) == was.Replicas[1].Address && isInTransition(was, is, f) {
			return f
		}
	}
	panic("contract: no flow for a replica")
}

// explainsTransition explains a flow of a slot in transition: one from before, and one that starts.
func (b fixture) explainsTransition(was, s lb.Service, flow packet.Flow) {
	b.t.Helper()
	inTransition := func(replica netip.AddrPort, by lb.Choice, record lb.Record, recorded netip.AddrPort) func(e *lb.Explanation) {
		return func(e *lb.Explanation) {
			e.PreviousOwner, e.InTransition = owner(was, flow), true
			e.Replica, e.Choice, e.Record, e.Recorded = replica, by, record, recorded
		}
	}
	previous, current := owner(was, flow), owner(s, flow)
	b.explainsFlow("from before", s, flow, flagACK, inTransition(previous, lb.ByPreviousOwner, lb.NoRecord, netip.AddrPort{}))
	b.explainsFlow("new", s, flow, flagSYN, inTransition(current, lb.ByAssignment, lb.NoRecord, netip.AddrPort{}))
	b.goes(flow, flagSYN, current, "a new flow")
	for _, flags := range []uint8{flagSYN, flagACK} {
		b.explainsFlow("begun", s, flow, flags, inTransition(current, lb.ByRecord, lb.HalfOpen, current))
	}
	b.goes(flow, flagACK, current, "its next packet")
	for _, flags := range []uint8{flagSYN, flagACK} {
		b.explainsFlow("established", s, flow, flags, inTransition(current, lb.ByRecord, lb.Established, current))
	}
}

// explainsEnd explains the flow when its replica is down, and when no replica is active.
func (b fixture) explainsEnd(was, s lb.Service, flow packet.Flow) {
	b.t.Helper()
	home := owner(s, flow)
	off := s.Clone()
	for i := range off.Replicas {
		if off.Replicas[i].Address == home {
			off.Replicas[i].State = lb.Down
		}
	}
	off = sized(off, off.TableSize)
	b.set(off)
	remembered := func(e *lb.Explanation) {
		e.PreviousOwner, e.InTransition, e.Record, e.Recorded = owner(was, flow), true, lb.Established, home
	}
	b.explainsFlow("its replica down", off, flow, flagACK, func(e *lb.Explanation) {
		remembered(e)
		e.Replica, e.Choice = e.PreviousOwner, lb.ByPreviousOwner
	})
	b.explainsFlow("its replica down, begins anew", off, flow, flagSYN, func(e *lb.Explanation) {
		remembered(e)
		e.Choice = lb.ByAssignment
	})
	none := with(off, lb.Down, 0, 1, 2, 3)
	b.set(none)
	b.explainsFlow("all down", none, flow, flagACK, func(e *lb.Explanation) {
		remembered(e)
		e.Reason, e.Replica, e.Choice = lb.NoReplica, netip.AddrPort{}, ""
	})
}

// testExplainModes explains packets in the modes that leave their addresses alone.
func testExplainModes(b fixture) {
	for _, s := range allScenes() {
		b.set(s.services()...)
		p := s.plain()
		service := s.service(plain, s.protocol, s.replica(plain))
		service = s.moded(service)
		e := hashed(explanation(lb.Forwarded, p.Flow, p.Frame()), service)
		e.Replica, e.Choice, e.Rewritten, e.NextHop = s.replica(plain), lb.ByOwner, p.Flow, hopTo(West, 1)
		if s.mode == lb.NAT {
			e.Rewritten.Destination = e.Replica
		}
		if s.mode == lb.IPIP {
			f := s.tunnel(plain, West, p.Flow)
			e.Outer = lb.Tunnel{Source: f.Source.Addr(), Destination: e.Replica.Addr(), SourcePort: f.Source.Port(), DestinationPort: s.outer.port}
		}
		e.After = sentTo(plain, West).frame(s, East, p, Packet.Frame)
		b.explainsAll(s.name(), e.Before, e)
		for _, gone := range s.services() {
			b.remove(gone.VIP)
		}
	}
}

// testExplainErrors explains ICMP errors both ways: the flow is that which the receiver of the quoted packet sends.
func testExplainErrors(b fixture) {
	for _, s := range scenes() {
		b.set(s.services()...)
		p, err := s.plain(), quote{}
		e := hashed(explanation(lb.ErrorForwarded, p.Flow, err.build(p)), s.service(plain, s.protocol, s.replica(plain)))
		e.Replica, e.Choice, e.NextHop, e.Rewritten = s.replica(plain), lb.ByOwner, hopTo(West, 1), p.Flow
		e.Rewritten.Destination = e.Replica
		e.After = sentTo(plain, West).frame(s, East, p, err.build)
		b.explainsAll("error", e.Before, e)

		answer(s, &p)
		e = explanation(lb.ErrorReturned, p.Flow, err.build(p))
		e.NextHop, e.Rewritten = hopTo(East, 1), p.Flow
		e.Rewritten.Source = s.vip(plain, s.protocol).Address
		e.After = returnedTo(East).frame(s, East, p, err.build)
		b.explainsAll("returned error", e.Before, e)
		for _, gone := range s.services() {
			b.remove(gone.VIP)
		}
	}
}
