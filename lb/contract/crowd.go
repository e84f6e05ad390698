package contract

import (
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// crowd are flows of TCP to one service, and where they must stay whatever changes.
type crowd struct {
	fixture
	service lb.Service
	// home is the replica of every flow that has begun.
	home map[packet.Flow]netip.AddrPort
	// order is that in which the flows have begun; halfOpen are those of which only a SYN was sent, and recorded: a
	// SYN in a settled slot may be sent anew elsewhere.
	order    []packet.Flow
	halfOpen map[packet.Flow]bool
	port     uint16
}

// newCrowd makes a crowd of a service that was set just now, and begins flows to it.
func newCrowd(b fixture, s lb.Service) *crowd {
	c := &crowd{fixture: b, service: s, home: map[packet.Flow]netip.AddrPort{}, halfOpen: map[packet.Flow]bool{}, port: 20000}
	c.begin(24)
	return c
}

// begin starts n flows. They go by the table. Every third one only sends a SYN for now.
func (c *crowd) begin(n int) {
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
func (c *crowd) change(s lb.Service) {
	c.t.Helper()
	c.service = s
	c.set(s)
	c.order = slices.DeleteFunc(c.order, func(f packet.Flow) bool {
		return !slices.ContainsFunc(s.Replicas, func(r lb.Replica) bool { return r.Address == c.home[f] })
	})
}

// stay sends a packet of every flow: those whose replica serves stay with it, and the others go to one that does, if
// there is one.
func (c *crowd) stay(when string) {
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

func (c *crowd) stateOf(a netip.AddrPort) lb.ReplicaState {
	i := slices.IndexFunc(c.service.Replicas, func(r lb.Replica) bool { return r.Address == a })
	return c.service.Replicas[i].State
}
