package stage

import (
	"context"
	"fmt"
	"net/netip"

	"lbctl/rss"
	"lbctl/testbed/netns"
	"lbctl/testbed/rig"
)

func (s *Stage) makeNamespaces(context.Context) (err error) {
	if s.run, err = netns.NewRun(); err != nil {
		return err
	}
	s.closing(s.run)
	if s.clients, err = s.run.Make("clients"); err != nil {
		return err
	}
	if s.balancer, err = s.run.Make("balancer"); err != nil {
		return err
	}
	for i := range s.config.Replicas {
		n, err := s.run.Make(fmt.Sprintf("replica-%d", i))
		if err != nil {
			return err
		}
		s.replicas = append(s.replicas, n)
	}
	// For packets that the load balancer passes up: a next hop that is not known yet.
	return s.balancer.Sysctl("net/ipv4/ip_forward", "1")
}

// startNIC puts the NIC between clients and balancer. All neighbours are fixed: no
// ARP disturbs exact counts.
func (s *Stage) startNIC(context.Context) (err error) {
	s.nic, err = rig.Start(rig.Config{
		Wire: netns.End{Namespace: s.clients, Name: wireName},
		Host: netns.End{Namespace: s.balancer, Name: nicName},
		NIC:  s.config.NIC, MTU: s.config.MTU,
	})
	if err != nil {
		return err
	}
	s.closing(s.nic)
	wire, err := s.nic.Wire()
	if err != nil {
		return err
	}
	host, err := s.nic.Host()
	if err != nil {
		return err
	}
	return s.addressClients(wire, host)
}

func (s *Stage) addressClients(wire, host netns.Link) error {
	bits := clientNet().Bits()
	if err := host.AddAddress(netip.PrefixFrom(clientGateway(), bits)); err != nil {
		return err
	}
	if err := wire.AddNeighbour(clientGateway(), host.MAC); err != nil {
		return err
	}
	for i := range s.config.Clients {
		if err := wire.AddAddress(netip.PrefixFrom(clientAddress(i), bits)); err != nil {
			return err
		}
		if err := host.AddNeighbour(clientAddress(i), wire.MAC); err != nil {
			return err
		}
	}
	return wire.AddRoute(netip.PrefixFrom(VIP().Addr(), 32), clientGateway())
}

// wireReplicas makes a link from the balancer to each replica. A replica is a machine with one
// core: if its answers took turns on two, they would leave by two queues of the NIC and
// overtake each other.
func (s *Stage) wireReplicas(context.Context) error {
	for i, namespace := range s.replicas {
		here, there, err := netns.Veth(
			netns.End{Namespace: s.balancer, Name: replicaLink(i)},
			netns.End{Namespace: namespace, Name: replicaName}, s.config.MTU)
		if err != nil {
			return err
		}
		if err := s.addressReplica(i, here, there); err != nil {
			return err
		}
		core := s.nic.Core(rss.Queue(i))
		if err := namespace.Pin(core); err != nil {
			return err
		}
		receive, err := rig.ReceiveOn(there, core)
		if err != nil {
			return err
		}
		s.closing(receive)
		s.links = append(s.links, there)
	}
	return nil
}

func (s *Stage) addressReplica(i int, here, there netns.Link) error {
	bits := replicaNet(i).Bits()
	if err := here.AddAddress(netip.PrefixFrom(replicaGateway(i), bits)); err != nil {
		return err
	}
	if err := there.AddAddress(netip.PrefixFrom(ReplicaAddress(i).Addr(), bits)); err != nil {
		return err
	}
	if err := here.AddNeighbour(ReplicaAddress(i).Addr(), there.MAC); err != nil {
		return err
	}
	if err := there.AddNeighbour(replicaGateway(i), here.MAC); err != nil {
		return err
	}
	return there.AddRoute(clientNet(), replicaGateway(i))
}
