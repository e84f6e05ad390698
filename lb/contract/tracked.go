package contract

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/scheduler"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// Flags of TCP (RFC 9293).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// idle is the idle time of all services that track flows, step the time in which ages go up by one.
const (
	idle = lb.MinIdle
	step = idle / lb.IdleSteps
)

// advance lets time pass.
func (b fixture) advance(d time.Duration) {
	b.t.Helper()
	if b.Advance == nil {
		b.t.Skip("the harness cannot let time pass")
	}
	b.Harness.Advance(b.t, d)
}

// listFlows returns what the datapath tells of the flows of some services, or of all.
func (b fixture) listFlows(of ...lb.VIP) map[lb.VIP]lb.Flows {
	b.t.Helper()
	return must(b.t, "list flows", func() (map[lb.VIP]lb.Flows, error) { return b.Dataplane.Flows(of...) })
}

// flows returns what the datapath tells of the flows of a service.
func (b fixture) flows(v lb.VIP) lb.Flows {
	b.t.Helper()
	all := b.listFlows()
	f, found := all[v]
	if !found {
		b.t.Errorf("flows of %v are not listed", v)
	}
	return f
}

// remembering returns a service of four replicas on West, by nat, that tracks flows.
func (f family) remembering(p packet.Protocol, scheduler lb.Scheduler, tracking lb.Tracking) lb.Service {
	s := f.service(1, p, f.on(West, 1, 8080), f.on(West, 2, 8080), f.on(West, 3, 8080), f.on(West, 4, 8080))
	s.Scheduler, s.Tracking, s.Idle = scheduler, tracking, idle
	if tracking == lb.Stateless {
		s.Idle = 0
	}
	return sized(s, 13)
}

// sized returns a copy of the service with so many slots, if its scheduler lets it choose.
func sized(s lb.Service, size uint32) lb.Service {
	s = s.Clone()
	s.TableSize = size
	if s.Scheduler == lb.Modulo {
		s.TableSize = s.Active()
	}
	return s
}

// with returns a copy with the replicas of these numbers, from 0, in another state.
func with(s lb.Service, state lb.ReplicaState, replicas ...int) lb.Service {
	s = s.Clone()
	for _, i := range replicas {
		s.Replicas[i].State = state
	}
	return sized(s, s.TableSize)
}

// without returns a copy without the replica of that number.
func without(s lb.Service, i int) lb.Service {
	s = s.Clone()
	s.Replicas = slices.Delete(s.Replicas, i, i+1)
	return sized(s, s.TableSize)
}

// and returns a copy with one replica more.
func and(s lb.Service, a netip.AddrPort) lb.Service {
	s = s.Clone()
	s.Replicas = append(s.Replicas, lb.Replica{Address: a, Weight: 1})
	return sized(s, s.TableSize)
}

// owner is the replica that the table alone gives a flow.
func owner(s lb.Service, f packet.Flow) netip.AddrPort {
	table := scheduler.Build(s)
	if len(table) == 0 {
		return netip.AddrPort{}
	}
	return s.Replicas[table[slotOf(s, f)]].Address
}

func slotOf(s lb.Service, f packet.Flow) uint32 {
	return oracle.Hash(s, rss.MicrosoftKey(), f) % s.TableSize
}

// clients returns n flows to the service, from port on.
func clients(s lb.Service, port uint16, n int) []packet.Flow {
	flows := make([]packet.Flow, n)
	for i := range flows {
		flows[i] = flowTo(s.VIP)
		flows[i].Source = withPort(flows[i].Source, port+uint16(i))
	}
	return flows
}

// packetOf is a packet of a flow.
func packetOf(f packet.Flow, flags uint8) Packet { return Packet{Flow: f, TTL: 64, Flags: flags} }

// arrives sends a packet to a service by nat and returns the replica to which it goes, none if it is not
// forwarded. It explains the packet first: the answer must be the same and change nothing.
func (b fixture) arrives(f packet.Flow, flags uint8) netip.AddrPort {
	b.t.Helper()
	frame := packetOf(f, flags).Frame()
	e := b.explain(lb.Probe{Frame: frame})
	again := b.explain(lb.Probe{Frame: frame})
	if e.Replica != again.Replica || e.Record != again.Record || e.Choice != again.Choice {
		b.t.Errorf("explained %+v, then %+v", e, again)
	}
	v := b.send(East, frame)
	if v.Action != oracle.Redirect {
		if e.Reason == lb.Forwarded {
			b.t.Errorf("%v: %v, explained as %+v", f, v.Action, e)
		}
		return netip.AddrPort{}
	}
	replica := destinationOf(v.Frame)
	if e.Replica != replica || e.Reason != lb.Forwarded {
		b.t.Errorf("%v to %v, explained as %v to %v by %v", f, replica, e.Reason, e.Replica, e.Choice)
	}
	return replica
}

// destinationOf reads where a plain frame goes.
func destinationOf(frame []byte) netip.AddrPort {
	at, length, l4 := 30, 4, 34
	if frame[12] == 0x86 {
		at, length, l4 = 38, 16, 54
	}
	a, _ := netip.AddrFromSlice(frame[at : at+length])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(frame[l4+2:]))
}

// goes sends a packet, which must go to that replica; none means that it must not be forwarded.
func (b fixture) goes(f packet.Flow, flags uint8, want netip.AddrPort, why string) {
	b.t.Helper()
	if got := b.arrives(f, flags); got != want {
		b.t.Errorf("%s: %v (flags %#x) goes to %v, want %v", why, f, flags, got, want)
	}
}

// remembers compares what the datapath tells of a service's flows with the records and slots in transition
// wanted. Replicas that are not named have none.
func (b fixture) remembers(s lb.Service, when string, inTransition uint32, want map[netip.AddrPort]lb.ReplicaFlows) {
	b.t.Helper()
	f := lb.Flows{InTransition: inTransition, Replicas: map[netip.AddrPort]lb.ReplicaFlows{}}
	for _, r := range s.Replicas {
		f.Replicas[r.Address] = want[r.Address]
	}
	equal(b.t, "flows "+when, b.flows(s.VIP), f)
}

// shared returns a function that always returns the same harness: for tests that remove what they set.
func shared(t *testing.T, open func(t *testing.T) Harness) func(t *testing.T) Harness {
	h := open(t)
	return func(*testing.T) Harness { return h }
}

// eachTracked runs a test for each family and scheduler, with services of that tracking.
func eachTracked(t *testing.T, open func(t *testing.T) Harness, p packet.Protocol, tracking lb.Tracking, test func(b fixture, s lb.Service)) {
	b := newFixture(t, open)
	for _, f := range families() {
		for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
			t.Run(f.name+" "+scheduler.String(), func(t *testing.T) {
				b := fixture{b.Harness, t}
				s := f.remembering(p, scheduler, tracking)
				b.set(s)
				test(b, s)
				b.remove(s.VIP)
			})
		}
	}
}
