package change

import (
	"maps"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/traffic/hold"
)

// Evidence is what was seen.
type Evidence struct {
	// Ways are the services that were changed.
	Ways []Way
	// Hashed are the arms with the replicas' NICs.
	Hashed []Hashed
	// Dropped counts packets for which a capture had no room.
	Dropped uint64
}

// Way is one service that was changed, and its connections.
type Way struct {
	// Kept tells that it remembers flows.
	Kept          bool
	How           how
	Before, After lb.Service
	// Wanted is how many connections should have been opened, Refused why the last of those that were not was not.
	Wanted      int
	Refused     string
	Connections []Connection
}

// Connection is one live connection.
type Connection struct {
	// Flow is client > VIP.
	Flow packet.Flow
	// At is the replica that answered its first message.
	At int
	// Seen are the replicas that got its packets after the change; Asked and Lost tell whether it was asked then, and
	// broke.
	Seen        []int
	Asked, Lost bool
}

// moved tells whether its packets came to another replica than before.
func (c Connection) moved() bool {
	return slices.ContainsFunc(c.Seen, func(r int) bool { return r != c.At })
}

// enter records what became of the connections when they were asked.
func (e *Evidence) enter(captures []cluster.Capture, report hold.Report) {
	type end struct{ client, vip netip.AddrPort }
	seen := map[end]map[int]bool{}
	byReplica := map[netip.AddrPort]netip.AddrPort{}
	for _, w := range e.Ways {
		for _, s := range []lb.Service{w.Before, w.After} {
			for _, r := range s.Replicas {
				byReplica[r.Address] = s.VIP.Address
			}
		}
	}
	for i, c := range captures {
		e.Dropped += c.Dropped
		for _, f := range c.Flows {
			at := end{f.Flow.Source, byReplica[f.Flow.Destination]}
			if seen[at] == nil {
				seen[at] = map[int]bool{}
			}
			seen[at][i] = true
		}
	}
	asked, lost := map[packet.Flow]bool{}, map[packet.Flow]bool{}
	for _, a := range report.Asked {
		asked[a.Flow] = true
	}
	for _, l := range report.Lost {
		lost[l.Flow] = true
	}
	for _, w := range e.Ways {
		for i := range w.Connections {
			c := &w.Connections[i]
			c.Seen = slices.Sorted(maps.Keys(seen[end{c.Flow.Source, c.Flow.Destination}]))
			c.Asked, c.Lost = asked[c.Flow], lost[c.Flow]
		}
	}
}

// count is what became of the connections of a way.
type count struct {
	// connections were opened, missing ones not, or not asked, or not seen afterwards.
	connections, missing int
	// misplaced ones were not opened where the model says.
	misplaced int
	// predicted ones have a slot whose owner changed; of these, least had to move by any table: to the new replica, or from the old one.
	predicted, least int
	// moved ones came to another replica, unpredicted ones did so against the model, or did not.
	moved, unpredicted int
	// broke ones were lost, oddly those that were lost and had not moved, or had moved and were not lost.
	broke, oddly int
}

// count counts, with a model's seed that differs by so much.
func (w Way) count(another uint32) count {
	before, after := w.Before.Clone(), w.After.Clone()
	before.Seed += another
	after.Seed += another
	was, is := predict.New(nil, before, nil), predict.New(nil, after, nil)
	c := count{connections: len(w.Connections), missing: w.Wanted - len(w.Connections)}
	last := max(len(before.Replicas), len(after.Replicas)) - 1
	for _, one := range w.Connections {
		from, to := was.Replica(one.Flow), is.Replica(one.Flow)
		c.missing += experiment.One(!one.Asked || len(one.Seen) == 0)
		c.misplaced += experiment.One(one.At != from)
		c.predicted += experiment.One(from != to)
		c.least += experiment.One(from != to && (from == last || to == last))
		c.moved += experiment.One(one.moved())
		c.unpredicted += experiment.One(one.moved() != (from != to))
		c.broke += experiment.One(one.Lost)
		c.oddly += experiment.One(one.Lost != one.moved())
	}
	return c
}

// share returns the share of connections that the theory expects to move.
func (w Way) share() float64 {
	n := float64(w.Before.Active())
	if w.Before.Scheduler == lb.Modulo && w.How == grow {
		return n / (n + 1)
	}
	if w.Before.Scheduler == lb.Modulo {
		return (n - 1) / n
	}
	was, is := predict.New(nil, w.Before, nil), predict.New(nil, w.After, nil)
	return was.Differ(is)
}

// Hashed is one arm with the replicas' NICs.
type Hashed struct {
	Name    string
	Service lb.Service
	// Key is the load balancer's, NICs are those of the replicas.
	Key  rss.Key
	NICs []*nic.NIC
	// Flows were captured at each replica: client > replica. Frames are what its NIC put on each of its queues.
	Flows  [][]packet.Flow
	Frames [][]uint64
}

// queues returns how many connections of each replica the NICs should have put on each queue.
func (h Hashed) queues(nics []*nic.NIC) [][]int {
	all := make([][]int, len(h.Flows))
	for i, flows := range h.Flows {
		all[i] = make([]int, len(h.Frames[i]))
		for _, f := range flows {
			all[i][nics[i].ClassifyFlow(f).Queue]++
		}
	}
	return all
}

// wrong counts the queues that got frames though the model says none, and those that got too few for the connections that the
// model puts there: a connection has three at least.
func (h Hashed) wrong(nics []*nic.NIC) (n int) {
	const least = 3
	for i, row := range h.queues(nics) {
		for q, connections := range row {
			frames := h.Frames[i][q]
			n += experiment.One(connections == 0 && frames > 0 || frames < uint64(least*connections))
		}
	}
	return n
}

// used counts the queues that got frames, and all queues.
func (h Hashed) used() (used, all int) {
	for _, row := range h.Frames {
		for _, frames := range row {
			used += experiment.One(frames > 0)
			all++
		}
	}
	return used, all
}
