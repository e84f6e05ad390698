// Package ports finds source ports that steer a flow to a receive queue.
//
// A client that chooses its source port chooses the queue, and so the core, that serves it: per
// key of a key-value store, say. A load balancer that opens connections to replicas
// chooses where the answers come in. There are only 65,536 ports: each is tried.
package ports

import (
	"fmt"
	"net/netip"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// Range is a run of ports, both ends included.
type Range struct{ First, Last uint16 }

// String returns "32768-32771", or "32768" for one port.
func (r Range) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Size returns the number of ports.
func (r Range) Size() int { return int(r.Last) - int(r.First) + 1 }

// Queues returns, for each port of a range, the queue of a flow from that source port, whatever port
// the flow has.
func Queues(n *nic.NIC, flow packet.Flow, in Range) []rss.Queue {
	return each(in, flow, func(f packet.Flow) rss.Queue { return n.ClassifyFlow(f).Queue })
}

// Answers returns, for each port of a range, the queue of the answers to a flow from that source
// port, on the NIC of the flow's sender.
func Answers(n *nic.NIC, flow packet.Flow, in Range) []rss.Queue {
	return each(in, flow, func(f packet.Flow) rss.Queue { return n.ClassifyFlow(f.Reverse()).Queue })
}

func each(in Range, flow packet.Flow, queue func(packet.Flow) rss.Queue) []rss.Queue {
	all := make([]rss.Queue, in.Size())
	for i := range all {
		flow.Source = netip.AddrPortFrom(flow.Source.Addr(), in.First+uint16(i))
		all[i] = queue(flow)
	}
	return all
}

// Where returns the ports of a range for whose place in it (0 is the first port) wanted is true, as the
// fewest ranges, ascending.
func Where(in Range, wanted func(place int) bool) (ranges []Range) {
	for i := range in.Size() {
		port := in.First + uint16(i)
		switch n := len(ranges); {
		case !wanted(i):
		case n > 0 && ranges[n-1].Last+1 == port:
			ranges[n-1].Last = port
		default:
			ranges = append(ranges, Range{port, port})
		}
	}
	return ranges
}
