package oracle_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// TestPromise: whatever changes, a flow that is not silent for longer than the idle time stays with the
// replica of its first packet while that serves. The shadow does not know of slots: it remembers every flow.
func TestPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShadow(t)
		changes := rapid.SampledFrom([]int{1, 4, 12}).Draw(t, "changes")
		steps := slices.Concat(
			slices.Repeat([]func(){s.change}, changes),
			slices.Repeat([]func(){s.wait}, 8),
			slices.Repeat([]func(){s.nextPacket}, 40),
			slices.Repeat([]func(){s.anyPacket}, 3),
			slices.Repeat([]func(){s.close}, 3),
		)
		for range 600 {
			rapid.SampledFrom(steps).Draw(t, "step")()
		}
		s.endSilent()
	})
}

// shadow is a datapath, and where its flows must go.
type shadow struct {
	t        *rapid.T
	datapath *oracle.Datapath
	service  lb.Service
	now      time.Duration
	flows    map[packet.Flow]*shadowFlow
	// starting has the replicas of flows that have sent them nothing but SYNs.
	starting map[packet.Flow]netip.AddrPort
}

// shadowFlow is a flow that has started.
type shadowFlow struct {
	replica netip.AddrPort
	// byClient and byReplica: that end has closed it, or a flow before it that had the same record, and the client
	// has sent no data since.
	byClient, byReplica bool
	// seen is when its last packet came, recorded when a record of it was last made or used.
	seen, recorded moment
}

// moment is a time, and the least idle time of the service since then.
type moment struct{ at, idle time.Duration }

// mayBeForgotten reports whether the service need not remember it any more.
func (m moment) mayBeForgotten(now time.Duration) bool { return now-m.at > m.idle }

func newShadow(t *rapid.T) *shadow {
	protocol := rapid.SampledFrom([]packet.Protocol{packet.TCP, packet.TCP, packet.TCP, packet.UDP}).Draw(t, "protocol")
	s := &shadow{
		t: t, datapath: oracle.New(oracle.Config{Routes: everywhere{mtu: 1500}}), flows: map[packet.Flow]*shadowFlow{},
		starting: map[packet.Flow]netip.AddrPort{},
		service: lb.Service{
			VIP:       lb.VIP{Address: flow.Destination, Protocol: protocol},
			Scheduler: lb.Maglev, TableSize: 7, Tracking: lb.DefaultTracking(protocol), Idle: lb.MinIdle,
		},
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "replicas") {
		s.service.Replicas = append(s.service.Replicas, lb.Replica{Address: replicaAddress(i), Weight: 1})
	}
	s.set()
	return s
}

// flow draws one of few flows, so that they share slots.
func (s *shadow) flow() packet.Flow {
	port := rapid.Uint16Range(1, 8).Draw(s.t, "port")
	return packet.Flow{
		Source: netip.AddrPortFrom(flow.Source.Addr(), port), Destination: flow.Destination, Protocol: s.service.VIP.Protocol,
	}
}

// change changes the service, and drops the flows for which the promise ends.
func (s *shadow) change() {
	had := s.service.Tracking
	s.edit()
	s.set()
	if s.service.Tracking == lb.Stateless || had == lb.Stateless && s.service.VIP.Protocol == packet.UDP {
		clear(s.flows)
	}
	maps.DeleteFunc(s.flows, func(_ packet.Flow, f *shadowFlow) bool {
		return !slices.ContainsFunc(s.service.Replicas, func(r lb.Replica) bool {
			return r.Address == f.replica && r.State != lb.Down
		})
	})
	for _, f := range s.flows {
		f.seen.idle = min(f.seen.idle, s.idle())
		f.recorded.idle = min(f.recorded.idle, s.idle())
	}
}

func (s *shadow) set() {
	if err := s.datapath.SetService(s.t.Context(), s.service); err != nil {
		s.t.Fatal(err)
	}
}

// idle is the idle time; without tracking nothing is ever forgotten.
func (s *shadow) idle() time.Duration {
	if s.service.Tracking == lb.Stateless {
		return lb.MaxIdle
	}
	return s.service.Idle
}

// wait lets time pass.
func (s *shadow) wait() {
	step := s.service.Idle / lb.IdleSteps
	d := rapid.SampledFrom([]time.Duration{1, step / 2, step - 1, step, step + 1, 2 * step, 5 * step, 8 * step}).Draw(s.t, "time")
	s.datapath.Advance(d)
	s.now += d
	maps.DeleteFunc(s.flows, func(_ packet.Flow, f *shadowFlow) bool { return f.seen.mayBeForgotten(s.now) })
}

// nextPacket sends the next packet of a flow: the first, if it has not started.
func (s *shadow) nextPacket() {
	f := s.flow()
	if _, begun := s.flows[f]; !begun {
		s.packet(f, packet.SYN, nil)
		return
	}
	s.packet(f, packet.ACK, rapid.SampledFrom([][]byte{nil, {1}}).Draw(s.t, "data"))
}

// anyPacket sends a packet that may be out of order.
func (s *shadow) anyPacket() {
	s.packet(s.flow(), rapid.SampledFrom([]packet.TCPFlags{packet.SYN, packet.ACK, packet.SYN | packet.ACK}).Draw(s.t, "flags"), nil)
}

// close closes a flow, or claims to, from one end: its client's or its replica's.
func (s *shadow) close() {
	f, flags := s.flow(), rapid.SampledFrom([]packet.TCPFlags{packet.FIN | packet.ACK, packet.RST}).Draw(s.t, "flags")
	known, begun := s.flows[f]
	if !begun || rapid.Bool().Draw(s.t, "client") {
		s.packet(f, flags, nil)
		return
	}
	answer := packet.Flow{Source: known.replica, Destination: f.Source, Protocol: f.Protocol}
	frame := frameOf(answer, flags, nil)
	if v := s.datapath.Process(1, frame); v.Reason != lb.Returned {
		s.t.Fatalf("%v: %v", answer, v.Reason)
	}
	known.byReplica, known.byClient = true, known.byClient || flags == packet.RST
}

// packet sends a packet of the client and checks where it goes.
func (s *shadow) packet(f packet.Flow, flags packet.TCPFlags, data []byte) {
	frame := frameOf(f, flags, data)
	why, err := s.datapath.Explain(lb.Probe{Frame: frame})
	if err != nil {
		s.t.Fatal(err)
	}
	to := s.send(f, frame, why)
	known, begun := s.flows[f]
	isTCP, syn := f.Protocol == packet.TCP, flags == packet.SYN
	if isTCP && to.IsValid() {
		s.start(f, syn, to, why.Choice)
	}
	switch {
	case !to.IsValid():
		if begun && (!syn || !isTCP) {
			s.t.Fatalf("%v: %v, was with %v", f, why.Reason, known.replica)
		}
		return
	case isTCP && !syn && !begun:
		return // of a flow that the service never saw begin
	// A SYN begins a flow anew, unless a record shows it to be the same.
	case begun && to != known.replica && !(isTCP && syn && s.mayBeginAnew(f, known)):
		s.t.Fatalf("%v (SYN: %v) goes to %v, was with %v: %+v", f, syn, to, known.replica, why)
	case isTCP && syn && s.drains(to) && (!begun || to == known.replica):
		return // keeps nothing alive
	case !begun || to != known.replica || isTCP && syn && why.Choice == lb.ByAssignment:
		known = &shadowFlow{replica: to, recorded: moment{at: -lb.MaxIdle}}
		s.flows[f] = known
	}
	known.closed(flags, data)
	known.seen = moment{s.now, s.idle()}
	if why.Choice == lb.ByRecord || why.Choice == lb.ByAssignment && (syn || !isTCP) {
		known.recorded = known.seen
	}
}

// start notes which flows are starting. A flow starts at no replica that drains: if a SYN goes to one, nothing
// but SYNs have come before it, as far as was recorded.
func (s *shadow) start(f packet.Flow, syn bool, to netip.AddrPort, by lb.Choice) {
	switch {
	case !syn && s.starting[f] == to && by == lb.ByRecord:
		delete(s.starting, f)
	case syn && s.drains(to):
		if s.starting[f] != to {
			s.t.Fatalf("%v starts at %v, which drains", f, to)
		}
	case syn:
		s.starting[f] = to
	}
}

func (s *shadow) drains(a netip.AddrPort) bool {
	return slices.ContainsFunc(s.service.Replicas, func(r lb.Replica) bool { return r.Address == a && r.State == lb.Draining })
}

// mayBeginAnew reports whether a SYN may belong to another flow with the same addresses and ports.
func (s *shadow) mayBeginAnew(f packet.Flow, known *shadowFlow) bool {
	return known.recorded.mayBeForgotten(s.now) || known.byClient && known.byReplica || s.drains(known.replica) && s.starting[f] != known.replica
}

// closed notes a packet of the client.
func (f *shadowFlow) closed(flags packet.TCPFlags, data []byte) {
	switch {
	case flags == packet.RST:
		f.byClient, f.byReplica = true, true
	case flags&packet.FIN != 0:
		f.byClient = true
	case data != nil:
		f.byClient, f.byReplica = false, false
	}
}

func frameOf(f packet.Flow, flags packet.TCPFlags, data []byte) []byte {
	return contract.Packet{Flow: f, TTL: 64, Flags: uint8(flags), Payload: data}.Frame()
}

// send sends the packet that was explained, and returns the replica that it goes to.
func (s *shadow) send(f packet.Flow, frame []byte, why lb.Explanation) netip.AddrPort {
	v := s.datapath.Process(1, frame)
	if v.Reason != why.Reason || !slices.Equal(v.Frame, why.After) && why.After != nil {
		s.t.Fatalf("%v: %v, explained as %+v", f, v.Reason, why)
	}
	if v.Reason != lb.Forwarded {
		return netip.AddrPort{}
	}
	address := netip.AddrFrom4([4]byte(v.Frame[30:34]))
	return netip.AddrPortFrom(address, binary.BigEndian.Uint16(v.Frame[36:]))
}

// endSilent checks that nothing is recorded after a silence.
func (s *shadow) endSilent() {
	s.datapath.Advance(s.service.Idle*(lb.IdleSteps+1)/lb.IdleSteps + 1)
	all, err := s.datapath.Flows()
	if err != nil {
		s.t.Fatal(err)
	}
	f := all[s.service.VIP]
	for r, n := range f.Replicas {
		if !n.None() {
			s.t.Errorf("%v after silence: %+v", r, n)
		}
	}
	if f.InTransition != 0 || len(f.Replicas) != len(s.service.Replicas) {
		s.t.Errorf("after silence: %+v", f)
	}
}

func replicaAddress(i int) netip.AddrPort {
	return netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:8080", i+1))
}
