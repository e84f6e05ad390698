package kvstore

import (
	"fmt"
	"net/netip"

	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/predict"
)

// The ports that clients choose themselves: below those that the kernel gives (ip_local_port_range of ip(7)).
const (
	firstPort = 1024
	lastPort  = 32767
)

// ports gives source addresses to connections, each once. The zero value is ready.
type ports struct {
	// next is the first port not yet given, or tried, by the client's number.
	next map[int]int
}

// byKernel leaves the ports of n connections to the kernel.
func byKernel(n, clients int) []netip.AddrPort {
	sources := make([]netip.AddrPort, n)
	for i := range sources {
		sources[i] = netip.AddrPortFrom(cluster.ClientAddress(i%clients), 0)
	}
	return sources
}

// byClass finds the port of each connection i: one whose 4-tuple comes to the queue and the store of class i mod
// queues*stores, by a model. lbctl rss ports finds ports by the queue in the same way.
func (p *ports) byClass(n, clients, queues int, m predict.Model) ([]netip.AddrPort, error) {
	if p.next == nil {
		p.next = map[int]int{}
	}
	classes := queues * len(m.Service.Replicas)
	sources := make([]netip.AddrPort, n)
	for i := range sources {
		client, class := i%clients, i%classes
		for !sources[i].IsValid() {
			port := firstPort + p.next[client]
			if port > lastPort {
				return nil, fmt.Errorf("find ports: client %v has no more", cluster.ClientAddress(client))
			}
			p.next[client]++
			source := netip.AddrPortFrom(cluster.ClientAddress(client), uint16(port))
			f := packet.Flow{Source: source, Destination: m.Service.VIP.Address, Protocol: packet.TCP}
			if int(m.Queue(f)) == class%queues && m.Replica(f) == class/queues {
				sources[i] = source
			}
		}
	}
	return sources, nil
}
