package nic

import (
	"fmt"
	"net/netip"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// PortRange is a range of ports, both ends included.
type PortRange struct{ First, Last uint16 }

// String returns "32768-32771", or "32768" for one port.
func (r PortRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Size returns the number of ports.
func (r PortRange) Size() int { return int(r.Last) - int(r.First) + 1 }

// PortQueues returns, for each port of a range, the queue of the flow with that source port. The flow's own source
// port is ignored. A client that chooses its source port so chooses the queue, and with it the core, that serves it.
func (n *NIC) PortQueues(flow packet.Flow, in PortRange) []rss.Queue {
	return eachPort(in, flow, func(f packet.Flow) rss.Queue { return n.ClassifyFlow(f).Queue })
}

// ReplyQueues returns, for each port of a range, the queue of the replies to the flow with that source port. n is the
// NIC of the flow's sender.
func (n *NIC) ReplyQueues(flow packet.Flow, in PortRange) []rss.Queue {
	return eachPort(in, flow, func(f packet.Flow) rss.Queue { return n.ClassifyFlow(f.Reverse()).Queue })
}

func eachPort(in PortRange, flow packet.Flow, queue func(packet.Flow) rss.Queue) []rss.Queue {
	all := make([]rss.Queue, in.Size())
	for i := range all {
		flow.Source = netip.AddrPortFrom(flow.Source.Addr(), in.First+uint16(i))
		all[i] = queue(flow)
	}
	return all
}

// PortsWhere returns the ports of a range for whose index in it (0 is the first port) wanted is true, as the
// fewest ranges, ascending.
func PortsWhere(in PortRange, wanted func(i int) bool) (ranges []PortRange) {
	for i := range in.Size() {
		port := in.First + uint16(i)
		switch n := len(ranges); {
		case !wanted(i):
		case n > 0 && ranges[n-1].Last+1 == port:
			ranges[n-1].Last = port
		default:
			ranges = append(ranges, PortRange{port, port})
		}
	}
	return ranges
}
