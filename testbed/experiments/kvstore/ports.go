package kvstore

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/predict"
)

// The ports that clients choose by the key, and above them the others.
const (
	firstPort = 1024
	lastPort  = 32767
	others    = 65535 - lastPort
)

// ports gives source addresses to connections, each once. The zero value is ready.
type ports struct {
	// next is the first port not yet given, or tried, by the client's number.
	next map[int]int
	// taken are the others that were given, given how many by client.
	taken map[netip.AddrPort]bool
	given map[int]int
}

// any gives n connections ports at random: a run with the same seed has the same 4-tuples. Where half of a client's ports are
// taken the kernel chooses.
func (p *ports) any(n, clients int, random *rand.Rand) []netip.AddrPort {
	if p.taken == nil {
		p.taken, p.given = map[netip.AddrPort]bool{}, map[int]int{}
	}
	sources := make([]netip.AddrPort, n)
	for i := range sources {
		client := i % clients
		address := cluster.ClientAddress(client)
		sources[i] = netip.AddrPortFrom(address, 0)
		if p.given[client]++; p.given[client] > others/2 {
			continue
		}
		for sources[i].Port() == 0 || p.taken[sources[i]] {
			sources[i] = netip.AddrPortFrom(address, uint16(lastPort+1+random.IntN(others)))
		}
		p.taken[sources[i]] = true
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
