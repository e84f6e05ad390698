package contract

import (
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testChanges changes services in many ways: no flow leaves a replica that serves.
func testChanges(t *testing.T, open func(t *testing.T) Harness) {
	open = shared(t, open)
	for _, c := range changeCases() {
		t.Run(c.name, func(t *testing.T) {
			eachTracked(t, open, packet.TCP, lb.TrackChanges, func(b fixture, s lb.Service) {
				if c.only != nil && !c.only(s) {
					return
				}
				testChange(b, s, c.steps)
			})
		})
	}
	t.Run("always", func(t *testing.T) {
		eachTracked(t, open, packet.TCP, lb.TrackAlways, func(b fixture, s lb.Service) {
			for _, c := range changeCases() {
				if c.only == nil || c.only(s) {
					testChange(b, s, c.steps)
					b.remove(s.VIP)
					b.set(s)
				}
			}
		})
	})
}

// changeCase is a sequence of changes of a service, each while slots of the last one are in transition. Each
// is made to the service as it was at first.
type changeCase struct {
	name  string
	only  func(s lb.Service) bool
	steps []func(s lb.Service) lb.Service
}

func isMaglev(s lb.Service) bool { return s.Scheduler == lb.Maglev }

// Ways to change a service.
func drain(replicas ...int) func(lb.Service) lb.Service {
	return func(s lb.Service) lb.Service { return with(s, lb.Draining, replicas...) }
}

func down(replicas ...int) func(lb.Service) lb.Service {
	return func(s lb.Service) lb.Service { return with(s, lb.Down, replicas...) }
}

func drop(replica int) func(lb.Service) lb.Service {
	return func(s lb.Service) lb.Service { return without(s, replica) }
}

func add(hosts ...byte) func(lb.Service) lb.Service {
	return func(s lb.Service) lb.Service {
		for _, host := range hosts {
			s = and(s, familyOf(s.VIP.Address.Addr()).on(West, host, 8080))
		}
		return s
	}
}

func edit(change func(s *lb.Service)) func(lb.Service) lb.Service {
	return func(s lb.Service) lb.Service {
		s = s.Clone()
		change(&s)
		return sized(s, s.TableSize)
	}
}

func same(s lb.Service) lb.Service { return s }

func changeCases() []changeCase {
	seed := edit(func(s *lb.Service) { s.Seed++ })
	toeplitz := edit(func(s *lb.Service) { s.Hash = lb.ToeplitzHash })
	turned := edit(func(s *lb.Service) { slices.Reverse(s.Replicas) })
	weight := edit(func(s *lb.Service) { s.Replicas[2].Weight = 9 })
	other := edit(func(s *lb.Service) {
		if s.Scheduler = lb.Maglev - s.Scheduler; s.Scheduler == lb.Maglev {
			s.TableSize = 17
		}
	})
	size := func(n uint32) func(lb.Service) lb.Service { return edit(func(s *lb.Service) { s.TableSize = n }) }
	type steps = []func(lb.Service) lb.Service
	return []changeCase{
		{name: "nothing", steps: steps{same, same}},
		{name: "add", steps: steps{add(5)}},
		{name: "remove", steps: steps{drop(3), drop(3)}},
		{name: "remove the first", steps: steps{drop(0)}},
		{name: "drain", steps: steps{drain(1)}},
		{name: "drain, then remove", steps: steps{drain(1), drop(1)}},
		{name: "drain, and back", steps: steps{drain(1), same}},
		{name: "down, and back", steps: steps{down(2), same}},
		{name: "down, and back, twice", steps: steps{down(2), same, down(0, 2), down(1), same}},
		{name: "down, then draining", steps: steps{down(2), drain(2), same}},
		{name: "order", steps: steps{turned, same}},
		{name: "seed", steps: steps{seed, same}},
		{name: "hash", steps: steps{toeplitz, same, toeplitz}},
		{name: "scheduler", steps: steps{other, same, other}},
		{name: "add and remove", steps: steps{add(5), drop(2), add(6, 7), drop(0)}},
		{name: "all but one drain", steps: steps{drain(0, 1), drain(0, 1, 2), drain(1, 2, 3), same}},
		{name: "all drain", steps: steps{drain(0, 1, 2, 3), same}},
		{name: "all drain, one after the other", steps: steps{drain(0), drain(0, 1), drain(0, 1, 2), drain(0, 1, 2, 3), drain(1, 2, 3), drain(2), same}},
		{name: "all down", steps: steps{down(0, 1, 2, 3), same, down(0, 1, 2, 3), add(5), same}},
		{name: "everything", steps: steps{drain(0), seed, add(5, 6), down(1), toeplitz, other, drop(3), turned, same}},
		{name: "size", only: isMaglev, steps: steps{size(17), size(7), size(13)}},
		{name: "weight", only: isMaglev, steps: steps{weight, same, weight}},
		{name: "weight, drain, size, seed", only: isMaglev, steps: steps{weight, drain(2), size(7), seed, size(17), same}},
	}
}

// testChange makes the changes one after the other, twice. At the end it lets the flows be silent.
func testChange(b fixture, s lb.Service, steps []func(lb.Service) lb.Service) {
	c := newFlowSet(b, s)
	c.stay("before any change")
	for range 2 {
		for i, change := range steps {
			c.change(change(s))
			c.stay("after change " + string(rune('1'+i)))
			c.begin(9)
			c.stay("with new flows, after change " + string(rune('1'+i)))
			b.advance(step) // nobody is silent for long
		}
	}
	b.advance(idle + step)
	if c.service.Tracking == lb.TrackChanges {
		b.remembers(c.service, "after silence", 0, nil)
	}
	for _, f := range c.order { // by the table now
		b.goes(f, flagACK, owner(c.service, f), "after silence")
	}
}

// flowSet is flows of TCP to one service, and the replicas with which they must stay whatever changes.
type flowSet struct {
	fixture
	service lb.Service
	// home is the replica of every flow that has started.
	home map[packet.Flow]netip.AddrPort
	// order is the order in which the flows have started. halfOpen are those of which only a SYN was sent and
	// recorded. (In a settled slot the SYN may go elsewhere when it is sent again.)
	order    []packet.Flow
	halfOpen map[packet.Flow]bool
	port     uint16
}

// newFlowSet starts flows to a service that was just set.
func newFlowSet(b fixture, s lb.Service) *flowSet {
	c := &flowSet{fixture: b, service: s, home: map[packet.Flow]netip.AddrPort{}, halfOpen: map[packet.Flow]bool{}, port: 20000}
	c.begin(24)
	return c
}

// begin starts n flows. They go by the table. Every third one only sends a SYN for now.
func (c *flowSet) begin(n int) {
	c.t.Helper()
	for i, f := range clients(c.service, c.port, n) {
		want := owner(c.service, f)
		c.goes(f, flagSYN, want, "a new flow")
		if !want.IsValid() {
			continue
		}
		c.home[f], c.order = want, append(c.order, f)
		if i%3 != 0 {
			c.goes(f, flagACK, want, "its next packet")
			continue
		}
		c.halfOpen[f] = c.explain(lb.Probe{Frame: packetOf(f, flagSYN).Frame()}).Record == lb.HalfOpen
	}
	c.port += uint16(n)
}

// change sets another version of the service. Flows of replicas that are gone may go anywhere
// from then on.
func (c *flowSet) change(s lb.Service) {
	c.t.Helper()
	c.service = s
	c.set(s)
	c.order = slices.DeleteFunc(c.order, func(f packet.Flow) bool {
		return !slices.ContainsFunc(s.Replicas, func(r lb.Replica) bool { return r.Address == c.home[f] })
	})
}

// stay sends a packet of every flow: those whose replica serves stay with it, and the others go to one that does, if
// there is one.
func (c *flowSet) stay(when string) {
	c.t.Helper()
	for i, f := range c.order {
		flags := uint8(flagACK)
		if c.halfOpen[f] {
			if flags = flagSYN; i%2 == 0 || c.stateOf(c.home[f]) == lb.Down { // else it would begin anew
				flags, c.halfOpen[f] = flagACK, false
			}
		}
		if state := c.stateOf(c.home[f]); state != lb.Down {
			c.goes(f, flags, c.home[f], when)
		} else if got := c.arrives(f, flagACK); got == c.home[f] {
			c.t.Errorf("%s: %v goes to %v, which is down", when, f, got)
		}
	}
}

func (c *flowSet) stateOf(a netip.AddrPort) lb.ReplicaState {
	i := slices.IndexFunc(c.service.Replicas, func(r lb.Replica) bool { return r.Address == a })
	return c.service.Replicas[i].State
}
