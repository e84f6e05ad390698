package kvstore

import (
	"fmt"
	"net/netip"

	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/predict"
)

// The ports that clients choose by the key. Those above are dealt by chance.
const (
	firstPort   = 1024
	lastPort    = 32767
	highestPort = 65535
)

// ports gives ports to connections by the key, each once: the first not yet given, or tried, by the client's number.
type ports map[int]int

// byClass finds the port of each connection i: one whose 4-tuple comes to the queue and the store of class i mod
// queues*stores, by a model. lbctl rss ports finds ports by the queue in the same way.
func (p ports) byClass(n, clients, queues int, m predict.Model) ([]netip.AddrPort, error) {
	classes := queues * len(m.Service.Replicas)
	sources := make([]netip.AddrPort, n)
	for i := range sources {
		client, class := i%clients, i%classes
		for !sources[i].IsValid() {
			port := firstPort + p[client]
			if port > lastPort {
				return nil, fmt.Errorf("find ports: client %v has no more", cluster.ClientAddress(client))
			}
			p[client]++
			source := netip.AddrPortFrom(cluster.ClientAddress(client), uint16(port))
			f := packet.Flow{Source: source, Destination: m.Service.VIP.Address, Protocol: packet.TCP}
			if int(m.Queue(f)) == class%queues && m.Replica(f) == class/queues {
				sources[i] = source
			}
		}
	}
	return sources, nil
}
