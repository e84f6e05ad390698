package cluster

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"

	"lbctl/rss"
	"lbctl/testbed/bed"
	"lbctl/testbed/netns"
	"lbctl/testbed/rig"
	"lbctl/testbed/xdp"
)

func (s *Cluster) makeNamespaces(context.Context) (err error) {
	if s.clients, err = s.bed.Namespace("clients"); err != nil {
		return err
	}
	if s.balancer, err = s.bed.Namespace("balancer"); err != nil {
		return err
	}
	for i := range s.config.Replicas {
		n, err := s.bed.Namespace(fmt.Sprintf("replica-%d", i))
		if err != nil {
			return err
		}
		s.replicas = append(s.replicas, n)
	}
	// For packets that the load balancer passes up: a next hop that is not known yet.
	return s.balancer.Sysctl("net/ipv4/ip_forward", "1")
}

// wireClients puts the NIC, or a veth pair, between clients and balancer. All neighbours are fixed: no
// ARP disturbs exact counts.
func (s *Cluster) wireClients(context.Context) error {
	wire := netns.End{Namespace: s.clients, Name: wireName}
	host := netns.End{Namespace: s.balancer, Name: nicName}
	connect := s.startNIC
	if s.config.NIC == nil {
		connect = s.startVeth
	}
	if err := connect(wire, host); err != nil {
		return err
	}
	return s.addressClients()
}

func (s *Cluster) startNIC(wire, host netns.End) (err error) {
	if s.nic, err = rig.Start(rig.Config{Wire: wire, Host: host, NIC: s.config.NIC, MTU: s.config.MTU}); err != nil {
		return err
	}
	s.bed.Closing(s.nic)
	if s.wire, err = s.nic.Wire(); err != nil {
		return err
	}
	s.host, err = s.nic.Host()
	return err
}

// startVeth makes a veth pair whose clients' end receives what XDP sends to it.
func (s *Cluster) startVeth(wire, host netns.End) (err error) {
	if s.wire, s.host, err = netns.Veth(wire, host, s.config.MTU); err != nil {
		return err
	}
	receive, err := xdp.Receive(s.wire)
	if err != nil {
		return err
	}
	s.bed.Closing(receive)
	return nil
}

func (s *Cluster) addressClients() error {
	bits := clientNet().Bits()
	if err := s.host.AddAddress(netip.PrefixFrom(clientGateway(), bits)); err != nil {
		return err
	}
	if err := s.wire.AddNeighbour(clientGateway(), s.host.MAC); err != nil {
		return err
	}
	for i := range s.config.Clients {
		if err := s.wire.AddAddress(netip.PrefixFrom(ClientAddress(i), bits)); err != nil {
			return err
		}
		if err := s.host.AddNeighbour(ClientAddress(i), s.wire.MAC); err != nil {
			return err
		}
	}
	return s.wire.AddRoute(netip.PrefixFrom(VIP().Addr(), 32), clientGateway())
}

// wireReplicas makes a link from the balancer to each replica.
func (s *Cluster) wireReplicas(context.Context) error {
	for i, namespace := range s.replicas {
		here, there, err := s.wireReplica(
			netns.End{Namespace: s.balancer, Name: replicaLink(i)},
			netns.End{Namespace: namespace, Name: replicaName, Queues: s.receiveQueues()})
		if err != nil {
			return err
		}
		bits := replicaNet(i).Bits()
		err = bed.Join(here, there, netip.PrefixFrom(replicaGateway(i), bits), netip.PrefixFrom(ReplicaAddress(i).Addr(), bits))
		if err != nil {
			return err
		}
		if err := there.AddRoute(clientNet(), replicaGateway(i)); err != nil {
			return err
		}
		if s.config.ReplicaNIC == nil {
			err = s.receive(i, there)
		}
		if err != nil {
			return err
		}
		s.links = append(s.links, there)
	}
	return nil
}

// wireReplica joins balancer and replica by a veth pair, or puts the replica's NIC between them.
func (s *Cluster) wireReplica(here, there netns.End) (a, b netns.Link, err error) {
	if s.config.ReplicaNIC == nil {
		return netns.Veth(here, there, s.config.MTU)
	}
	n, err := rig.Start(rig.Config{Wire: here, Host: there, NIC: s.config.ReplicaNIC, MTU: s.config.MTU, Ring: replicaRing})
	if err != nil {
		return a, b, err
	}
	s.bed.Closing(n)
	s.replicaNICs = append(s.replicaNICs, n)
	if a, err = n.Wire(); err != nil {
		return a, b, err
	}
	b, err = n.Host()
	return a, b, err
}

// replicaRing is how many frames a queue of a replica's NIC holds.
const replicaRing = 512

// receiveQueues is the number of receive queues of a replica, 0 where one is enough. A queue of its own for each core
// keeps packets on the core on which the NIC delivered them.
func (s *Cluster) receiveQueues() int {
	if !s.config.Multicore || s.nic == nil {
		return 0
	}
	most := 0
	for _, core := range s.Cores() {
		most = max(most, core)
	}
	return most + 1
}

// Cores returns the cores to which the NIC delivers, ascending.
func (s *Cluster) Cores() []int {
	all := map[int]bool{}
	for q := range s.nic.Stats().Queues {
		all[s.nic.Core(rss.Queue(q))] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// receive makes replica i receive what XDP sends to it. Behind a NIC it is, unless it is meant to use all cores, a
// machine with one core: answers that leave on two cores leave by two queues of the NIC and may overtake each other.
func (s *Cluster) receive(i int, link netns.Link) (err error) {
	var receive io.Closer
	if s.nic == nil || s.config.Multicore {
		receive, err = xdp.Receive(link)
	} else {
		core := s.nic.Core(rss.Queue(i))
		if err := s.replicas[i].Pin(core); err != nil {
			return err
		}
		receive, err = xdp.ReceiveOn(link, core)
	}
	if err != nil {
		return err
	}
	s.bed.Closing(receive)
	return nil
}
