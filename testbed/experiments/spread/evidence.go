package spread

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"lbctl/rss"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// Evidence is what the witnesses saw of one arm.
type Evidence struct {
	cluster.Record
	VIP netip.AddrPort
	// Replicas are the addresses of the replicas; the position is their number.
	Replicas []netip.AddrPort
	// Objects is how many there are to request; Wanted is how many requests were to be made.
	Objects, Wanted int
}

// captureDrops counts the packets that the captures missed.
func (e Evidence) captureDrops() uint64 {
	var n uint64
	for _, c := range e.Captures {
		n += c.Dropped
	}
	return n
}

// connection is what all witnesses together saw of one connection.
type connection struct {
	// flow is client > VIP.
	flow packet.Flow
	// asked, served and captured hold the numbers of the replicas by witness: the
	// clients' log, the access logs, the captures.
	asked, served, captured map[int]bool
	// packets were captured, both directions.
	packets uint64
	// seen is what the kernel's observer saw, nil if nothing.
	seen *observe.Flow
}

// replicas returns the numbers of all replicas that any witness names, ascending.
func (c *connection) replicas() []int {
	all := map[int]bool{}
	for _, set := range []map[int]bool{c.asked, c.served, c.captured} {
		maps.Copy(all, set)
	}
	return slices.Sorted(maps.Keys(all))
}

// tally is the evidence sorted by connection. Gaps say what is missing in it, one
// sentence each: about replicas, and about queues.
type tally struct {
	Evidence
	connections            []*connection
	replicaGaps, queueGaps []string
}

// newTally sorts the evidence. A connection is its client's address and port: there is one VIP.
func newTally(e Evidence) tally {
	byClient := map[netip.AddrPort]*connection{}
	at := func(client netip.AddrPort) *connection {
		c := byClient[client]
		if c == nil {
			c = &connection{
				flow:  packet.Flow{Source: client, Destination: e.VIP, Protocol: packet.TCP},
				asked: map[int]bool{}, served: map[int]bool{}, captured: map[int]bool{},
			}
			byClient[client] = c
		}
		return c
	}
	e.readLogs(at)
	e.readCaptures(at)
	for i, f := range e.Observed {
		if f.Flow.Destination == e.VIP && f.Flow.Protocol == packet.TCP {
			at(f.Flow.Source).seen = &e.Observed[i]
		}
	}
	t := tally{Evidence: e}
	for _, client := range slices.SortedFunc(maps.Keys(byClient), netip.AddrPort.Compare) {
		t.connections = append(t.connections, byClient[client])
	}
	t.findGaps()
	return t
}

// readLogs enters what clients and replicas logged.
func (e Evidence) readLogs(at func(netip.AddrPort) *connection) {
	for _, r := range e.Requests {
		// Without an answer there is no replica; a connection that was never opened has no port.
		if r.Status != 0 && r.Flow.Source.IsValid() {
			at(r.Flow.Source).asked[r.Replica] = true
		}
	}
	for i, log := range e.Access {
		for _, a := range log {
			at(a.Flow.Source).served[i] = true
		}
	}
}

// readCaptures enters the packets between a client and the replica of the link.
func (e Evidence) readCaptures(at func(netip.AddrPort) *connection) {
	for i, capture := range e.Captures {
		for _, f := range capture.Flows {
			client, server := f.Flow.Source, f.Flow.Destination
			if client == e.Replicas[i] {
				client, server = server, client
			}
			if server == e.Replicas[i] && f.Flow.Protocol == packet.TCP {
				c := at(client)
				c.captured[i] = true
				c.packets += f.Packets
			}
		}
	}
}

// findGaps finds connections that not every witness saw, and witnesses that say
// themselves that they missed something.
func (t *tally) findGaps() {
	var logged, served, captured, seen int
	for _, c := range t.connections {
		logged += experiment.One(len(c.asked) > 0)
		served += experiment.One(len(c.served) > 0)
		captured += experiment.One(len(c.captured) > 0)
		seen += experiment.One(c.seen != nil && len(c.seen.Queues) > 0)
	}
	all := len(t.connections)
	for _, gaps := range []*[]string{&t.replicaGaps, &t.queueGaps} {
		if all == 0 {
			*gaps = append(*gaps, "no connection was seen")
		}
		gap(gaps, all-logged, "connections are missing in the clients' log")
	}
	gap(&t.replicaGaps, all-served, "connections are missing in the access logs")
	gap(&t.replicaGaps, all-captured, "connections are missing in the captures")
	gap(&t.replicaGaps, int(t.captureDrops()), "packets were dropped by the captures")
	gap(&t.queueGaps, all-seen, "connections were not seen by the kernel's observer")
	gap(&t.queueGaps, int(t.Missed), "packets were missed by the kernel's observer")
}

func gap(gaps *[]string, n int, what string) {
	if n != 0 {
		*gaps = append(*gaps, fmt.Sprintf("%s %s", report.Cell(n), what))
	}
}

// but returns gaps as the end of a detail.
func but(gaps []string) string { return experiment.But("But the evidence has gaps", gaps) }

// seenQueues returns the queues on which the kernel's observer saw the connection, ascending.
func (c *connection) seenQueues() []rss.Queue {
	if c.seen == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.seen.Queues))
}
