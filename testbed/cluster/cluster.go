// Package cluster is the network that an experiment with a load balancer runs in: clients, a simulated NIC,
// the real load balancer, and replicas, each in a network namespace of its own, on a bed.
//
//	clients --wire[softnic]nic-- balancer --veth-- replica-0 .. replica-N-1
//
// Where the NIC is not the question, a veth pair takes its place: it carries ten times the packets.
package cluster

import (
	"context"
	"fmt"
	"net/netip"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/bed"
	"lbctl/testbed/netns"
	"lbctl/testbed/rig"
	"lbctl/testbed/traffic/dial"
)

// How large a cluster can be: the addresses below have room for so many.
const (
	MaxReplicas = 100
	MaxClients  = 10_000
)

// Config says what a cluster is made of.
type Config struct {
	// Replicas is their number, 1 to MaxReplicas; Clients the number of client
	// addresses, 1 to MaxClients.
	Replicas, Clients int
	// NIC classifies what clients send; nil: clients are behind a veth pair, and no Arm can be run.
	NIC *nic.NIC
	// Multicore is for replicas behind a NIC that use every core: they receive a packet on the core to whose queue
	// the NIC delivered it, and their threads run anywhere. Otherwise each has one core.
	Multicore bool
	// ReplicaNIC classifies what the replicas receive: each has a NIC of its own instead of a veth pair; nil: none has.
	ReplicaNIC *nic.NIC
	// MTU is that of all links in bytes; 0: netns.DefaultMTU.
	MTU int
	// ToeplitzKey is the load balancer's, in hexadecimal; Flows is how many flows it can remember. The zero
	// values leave its defaults.
	ToeplitzKey string
	Flows       uint32
}

func (c Config) validate() error {
	switch {
	case c.Replicas < 1 || c.Replicas > MaxReplicas:
		return fmt.Errorf("%d replicas: want 1 to %d", c.Replicas, MaxReplicas)
	case c.Clients < 1 || c.Clients > MaxClients:
		return fmt.Errorf("%d client addresses: want 1 to %d", c.Clients, MaxClients)
	}
	return nil
}

// Cluster is a running cluster. Its bed removes it. One goroutine at a time.
type Cluster struct {
	bed      *bed.Bed
	config   Config
	clients  *netns.Namespace
	balancer *netns.Namespace
	replicas []*netns.Namespace
	// links are the replicas' own ends; wire and host are the two ends of the link between clients and balancer.
	links      []netns.Link
	wire, host netns.Link
	nic        *rig.SoftNIC
	// replicaNICs are those of the replicas, if they have any.
	replicaNICs []*rig.SoftNIC
	product     *bed.Product
	arms        int
}

// New makes network, NIC and load balancer on a bed, which removes them, also after an error.
func New(ctx context.Context, b *bed.Bed, c Config) (*Cluster, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("make cluster: %w", err)
	}
	s := &Cluster{bed: b, config: c}
	for _, step := range []func(context.Context) error{s.makeNamespaces, s.wireClients, s.wireReplicas, s.serve} {
		err := ctx.Err()
		if err == nil {
			err = step(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("make cluster: %w", err)
		}
	}
	return s, nil
}

// serve starts the load balancer, which has no service yet.
func (s *Cluster) serve(ctx context.Context) (err error) {
	s.product, err = s.bed.Serve(ctx, s.balancer, "balancer", s.configuration())
	return err
}

// configuration is what the daemon starts from.
func (s *Cluster) configuration() api.Config {
	config := api.Config{Services: []api.Service{}}
	if s.config.ToeplitzKey != "" || s.config.Flows != 0 {
		config.Datapath = &api.Datapath{}
	}
	if s.config.ToeplitzKey != "" {
		config.Datapath.ToeplitzKey = &s.config.ToeplitzKey
	}
	if flows := int64(s.config.Flows); flows != 0 {
		config.Datapath.Limits = &api.Limits{Flows: &flows}
	}
	return config
}

// Apply gives the load balancer its services, attached natively to all interfaces.
func (s *Cluster) Apply(ctx context.Context, services ...api.Service) error {
	return s.product.Apply(ctx, "native", s.interfaces(), services...)
}

// interfaces are the names of the balancer's interfaces that packets come in by.
func (s *Cluster) interfaces() []string {
	names := []string{nicName}
	for i := range s.config.Replicas {
		names = append(names, replicaLink(i))
	}
	return names
}

// Mode asks the load balancer how it is attached: "native", "generic", or "mixed".
func (s *Cluster) Mode(ctx context.Context) (mode string, err error) {
	attached, err := s.Control().Interfaces(ctx)
	if err != nil {
		return "", fmt.Errorf("ask how the load balancer is attached: %w", err)
	}
	for i, a := range attached.Interfaces {
		if i > 0 && a.Mode != mode {
			return "mixed", nil
		}
		mode = a.Mode
	}
	return mode, nil
}

// Replica returns the namespace of replica i, from 0.
func (s *Cluster) Replica(i int) *netns.Namespace { return s.replicas[i] }

// Clients returns the namespace of the clients.
func (s *Cluster) Clients() *netns.Namespace { return s.clients }

// ReplicaNIC returns the simulated NIC of replica i. The configuration must have one.
func (s *Cluster) ReplicaNIC(i int) *rig.SoftNIC { return s.replicaNICs[i] }

// NIC returns the simulated NIC, which can be reconfigured in mid-run, or nil.
func (s *Cluster) NIC() *rig.SoftNIC { return s.nic }

// Control returns the client of the daemon's API.
func (s *Cluster) Control() *client.Client { return s.product.Control }

// Product returns the load balancer.
func (s *Cluster) Product() *bed.Product { return s.product }

// Names of interfaces: the clients' and the balancer's side of the NIC, the replicas' own.
const (
	wireName    = "wire"
	nicName     = "nic"
	replicaName = "eth0"
)

const (
	vipPort     = 80
	replicaPort = 8080
)

// VIP is what clients connect to: an address of TEST-NET-1 (RFC 5737); the others are private.
func VIP() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), vipPort)
}

// clientNet is the network on the wire; the balancer is its last host.
func clientNet() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 66, 0, 0}), 16) }

func clientGateway() netip.Addr { return netip.AddrFrom4([4]byte{10, 66, 255, 254}) }

// ClientAddress returns the address of client i, from 0.
func ClientAddress(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 66, byte(i / 250), byte(1 + i%250)})
}

// Deal deals ports to n connections of a number of clients, in turn.
func Deal(d *dial.Dealer, n, clients int) []netip.AddrPort {
	sources := make([]netip.AddrPort, n)
	for i := range sources {
		sources[i] = d.Deal(ClientAddress(i % clients))
	}
	return sources
}

// replicaNet is the network between the balancer, its first host, and replica i, its second.
func replicaNet(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(i), 0}), 24)
}

func replicaGateway(i int) netip.Addr { return replicaNet(i).Addr().Next() }

// ReplicaAddress is that of replica i, from 0.
func ReplicaAddress(i int) netip.AddrPort {
	return netip.AddrPortFrom(replicaGateway(i).Next(), replicaPort)
}

// replicaLink is the name of the balancer's interface to replica i.
func replicaLink(i int) string { return fmt.Sprintf("replica%d", i) }

// Explain asks the load balancer's daemon to explain what becomes of a flow.
func (s *Cluster) Explain(ctx context.Context, f packet.Flow) (*api.Explanation, error) {
	e, err := s.Control().Explain(ctx, api.Probe{Source: f.Source.String(), Destination: f.Destination.String(), Protocol: f.Protocol.String()})
	if err != nil {
		return nil, fmt.Errorf("explain %v: %w", f, err)
	}
	return &e, nil
}
