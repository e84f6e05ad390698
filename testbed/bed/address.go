package bed

import (
	"fmt"
	"net/netip"
)

// How large a stage can be: what the addresses below have room for.
const (
	MaxReplicas = 100
	MaxClients  = 10_000
)

// Names of interfaces: the clients' and the balancer's side of the NIC, the
// replicas' own.
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

// clientAddress returns the address of client i, from 0.
func clientAddress(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 66, byte(i / 250), byte(1 + i%250)})
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
