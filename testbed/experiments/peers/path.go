package peers

import (
	"errors"
	"fmt"
	"net/netip"

	"lbctl/testbed/bed"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

// path is the network path from the clients to the replicas by one peer:
//
//	clients --wire-- balancer --wire-- replica 0 .. N-1
//
// Clients and replicas are the same on all paths. The path of direct has nothing in the middle, and a wire of the
// same length from the clients to each replica.
type path struct {
	peer
	number   int
	replicas int
	// balancer is nil for direct.
	balancer *netns.Namespace
	// hosts are the far ends of the links: that of the clients, if there is a balancer, then those of the replicas.
	hosts []netns.Link
	// pid and process are those of the balancer, if it is a process.
	pid     int
	process *helper.Process
	// broken says why the peer could not be measured, absent why this kernel cannot have it; empty: it can.
	broken, absent string
	// tracked is the most connections that the balancer's connection tracking knew after a work.
	tracked int
}

// The names of a balancer's interfaces.
const toClients = "clients"

func toReplica(i int) string { return fmt.Sprintf("replica%d", i) }

// interfaces are those of the balancer.
func (p *path) interfaces() []string {
	names := []string{toClients}
	for i := range p.replicas {
		names = append(names, toReplica(i))
	}
	return names
}

// vip is what clients connect to on this path: an address of TEST-NET-1 (RFC 5737).
func (p *path) vip() netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + p.number)}) }

// clientNet is the network between clients, its first host, and balancer, its second.
func (p *path) clientNet() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 66, byte(p.number), 0}), 24)
}

// replicaNet is the network between balancer, or for direct the clients, and replica.
func (p *path) replicaNet(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + p.number), byte(i), 0}), 24)
}

func host(n netip.Prefix, i int) netip.Addr {
	a := n.Addr().As4()
	a[3] += byte(i)
	return netip.AddrFrom4(a)
}

// replica is the address of a replica on this path.
func (p *path) replica(i int) netip.Addr { return host(p.replicaNet(i), 2) }

// targets are what the clients connect to: a VIP, or the replicas.
func (p *path) targets() []netip.Addr {
	if p.role != baseline {
		return []netip.Addr{p.vip()}
	}
	var all []netip.Addr
	for i := range p.replicas {
		all = append(all, p.replica(i))
	}
	return all
}

// wire makes the links of a path.
func (b *bench) wire(p *path) error {
	near := b.clients
	if p.start != nil {
		var err error
		if p.balancer, err = b.run.Bed.Router(p.name); err != nil {
			return err
		}
		if err := b.wireClients(p); err != nil {
			return err
		}
		near = p.balancer
	}
	for i, replica := range b.replicas {
		here, there, err := b.span(p, netns.End{Namespace: near, Name: toReplica(i)}, netns.End{Namespace: replica, Name: fmt.Sprintf("path%d", p.number)})
		if err != nil {
			return err
		}
		p.hosts = append(p.hosts, there)
		if err := b.join(p, i, here, there); err != nil {
			return err
		}
	}
	return nil
}

// span is the wire to a replica.
func (b *bench) span(p *path, near, replica netns.End) (netns.Link, netns.Link, error) {
	if p.balancer == nil {
		return b.run.Bed.LongWire(near, replica)
	}
	return b.run.Bed.Wire(near, replica, p.slow)
}

// join addresses the link to a replica and gives the replica a route to the clients.
func (b *bench) join(p *path, i int, here, there netns.Link) error {
	n := p.replicaNet(i)
	err := bed.Join(here, there, netip.PrefixFrom(host(n, 1), n.Bits()), netip.PrefixFrom(host(n, 2), n.Bits()))
	if err != nil || p.balancer == nil {
		return err
	}
	return there.AddRoute(p.clientNet(), host(n, 1))
}

// wireClients makes the link from the clients to the balancer.
func (b *bench) wireClients(p *path) error {
	here, there, err := b.run.Bed.Wire(netns.End{Namespace: b.clients, Name: fmt.Sprintf("path%d", p.number)}, netns.End{Namespace: p.balancer, Name: toClients}, p.slow)
	if err != nil {
		return err
	}
	p.hosts = append(p.hosts, here)
	n := p.clientNet()
	all := []error{bed.Join(here, there, netip.PrefixFrom(host(n, 1), n.Bits()), netip.PrefixFrom(host(n, 2), n.Bits()))}
	for _, to := range p.targets() {
		all = append(all, here.AddRoute(netip.PrefixFrom(to, to.BitLen()), host(n, 2)))
	}
	return errors.Join(all...)
}
