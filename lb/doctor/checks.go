package doctor

import "lbctl/lb"

// roleSet is a set of roles that a subject may have.
type roleSet uint8

const (
	// balancer is the machine that balances, and its interfaces that were asked about.
	balancer roleSet = 1 << iota
	// transit is an interface of the balancer that only leads to a replica.
	transit
	// server is a machine that serves, a replica, and its interfaces.
	server

	everywhere = balancer | transit | server
)

// check judges one thing of a subject of type S.
type check[S any] struct {
	// name is what scripts know it by.
	name string
	// roles are those of the subjects to which it applies.
	roles roleSet
	// why says what depends on it.
	why   string
	judge func(Facts, S) verdict
}

// hostChecks are about the machine. A server needs BPF only for its decapsulation program, which has a check of its own.
func hostChecks() []check[Host] {
	return []check[Host]{
		{"kernel", balancer, "older kernels reject the program, and damage the entries of neighbours that it asks them to keep; lbctl refuses to start there", judgeKernel},
		{"bpffs", balancer, "the program and its tables are pinned there, so that they outlive the daemon; in a mount namespace of its own they end with that", judgeBpffs},
		{"jit", balancer, "without it programs are interpreted, several times slower", judgeJit},
		{"capabilities", balancer, "attaching and loading need CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON, and are denied without", judgeCapabilities},
		{"services", balancer, "routes, neighbours, forwarding and the return path are judged for the services", judgeServices},
	}
}

// interfaceChecks are about an interface, in the order in which they are reported.
func interfaceChecks() []check[Interface] {
	const forwarding = "where the interface does not forward, bpf_fib_lookup finds no route for answers, " +
		"and the kernel drops the packets that are passed to it while their neighbour is not known"
	return []check[Interface]{
		{"up", everywhere, "an interface that is down moves no packet", judgeUp},
		{"carrier", everywhere, "without it the other end receives nothing", judgeCarrier},
		{"ethernet", everywhere, "the program reads and writes Ethernet frames", judgeEthernet},

		{"stacking", balancer, "XDP runs in the driver below; above it there is only the slower generic mode, and some frames never get there", judgeStacking},
		{"driver", balancer, "in generic mode every packet is given a socket buffer first: several times slower", judgeDriver},
		{"attached", balancer, "an interface has room for one XDP program", judgeAttached},
		{"transmit", balancer | transit, "a native program sends by the driver's ndo_xdp_xmit; where that is missing, frames vanish without an error", judgeTransmit},
		{"send-back", balancer, "echo replies, packet-too-big and packets to a replica on the link that they came from go back by XDP_TX: the other end of a veth " +
			"receives them only by an XDP program of its own, GRO is not enough (veth_xdp_flush)", judgeSendBack},
		{"mtu", balancer, "a larger frame does not fit into the page that a native program is given: attaching is refused, and mode auto becomes generic", judgeMtu},
		{"lro", balancer, "the NIC merges segments into frames that can be neither checked nor sent on", judgeLro},
		{"gro-hw", balancer, "frames merged by the NIC are larger than the next link takes; some drivers refuse native XDP while this is on", judgeHardwareGRO},
		{"vlan-offload", balancer, "a tag that the NIC removes is invisible to the program, which then takes the frame for an untagged one", judgeVlanOffload},
		{"sender-checksums", balancer, "a packet from the other end of a veth has a checksum that hardware is to complete; XDP loses that mark, " +
			"and the receiver drops the packet", judgeSenders},
		{"super-packets", balancer, "in mode generic a packet holds several segments where its sender leaves segmentation to hardware, or GRO merges them: " +
			"dsr and ipip cannot send it on, and drop it (super_packet); in mode nat the kernel does", judgeSuperPackets},
		{"forwarding-ipv4", balancer, forwarding, judgeForwarding4},
		{"forwarding-ipv6", balancer, forwarding, judgeForwarding6},
		{"rp-filter", balancer, "a packet that is passed to the kernel until its neighbour is known has the client's address or the VIP as source: " +
			"with a strict filter the kernel drops it where the route back is another interface", judgeReversePath},
		{"queues", balancer, "each receive queue keeps one CPU busy; sending from XDP needs a send queue for each CPU, else CPUs wait for each other " +
			"or the driver refuses", judgeQueues},

		{"napi", server, "a veth end without GRO or XDP does not take what is redirected to it: frames vanish without an error", judgeNapi},
		{"sender-checksums", server, "answers leave with a checksum that hardware is to complete; XDP loses that mark, and the client drops them", judgeAnswers},
		{"arp-ignore", server, "a replica that answers ARP for the VIP takes it from the balancer: packets come straight to this one", judgeArpIgnore},
		{"arp-announce", server, "an ARP request with the VIP as sender teaches the router this machine's MAC address for it", judgeArpAnnounce},
		{"decapsulation", server, "packets come encapsulated: something must decapsulate them", judgeDecapsulation},
		{"tunnel-rp-filter", server, "decapsulated packets come in by the tunnel, and the route to clients is another interface: with a strict filter the kernel drops them", judgeTunnelFilter},
		{"rp-filter", server, "clients can be anywhere: with a strict filter the kernel drops packets from those whose route is another interface", judgeSourceFilter},
		{"segment-size", server, "an encapsulated packet has less room: clients that send full segments are told so by packet-too-big, and stall where a firewall " +
			"drops that", judgeSegment},
		{"answer-size", server, "a link that is wider than the clients', for outer headers, lets answers be as long, which have none: a router has to send " +
			"packet-too-big to the VIP about them, and long answers of UDP over IPv6 are lost until it did", judgeAnswerSize},
	}
}

func vipChecks() []check[VIP] {
	return []check[VIP]{
		{"vip", balancer, "packets come for a VIP that is routed here, or that this machine answers ARP for; an answer that waits for its neighbour has the VIP as source, " +
			"and the kernel drops packets from its own addresses", judgeReach},
		{"vip-held", server, "packets still have the VIP as destination when they come: a machine without that address drops them", judgeHeld},
	}
}

func replicaChecks() []check[Replica] {
	return []check[Replica]{
		{"address", everywhere, "packets to a replica leave by an interface; those to an address of this machine or to a VIP do not", judgeAddress},
		{"route", everywhere, "without a route packets are dropped: no_route", judgeRoute},
		{"on-link", everywhere, "dsr changes only the MAC address: a router would send the packet back to the VIP", judgeOnLink},
		{"egress", everywhere, "in mode nat answers must pass the program on their return path; an interface without it gives clients answers from an address " +
			"that they do not know", judgeEgress},
		{"neighbour", everywhere, "while the MAC address of the next hop is not known, packets wait in the kernel (nat) or are dropped (dsr, ipip)", judgeNeighbour},
		{"path-mtu", everywhere, "a packet that is too long for the path is answered with packet-too-big; where a firewall drops that, connections stall", judgePathMTU},
		{"return-path", everywhere, "answers that do not come back through here reach the client from an address that it does not know", judgeReturnPath},
	}
}

func serviceChecks() []check[lb.Service] {
	return []check[lb.Service]{
		{"answers", balancer, "in mode nat answers get the VIP as their source. Without tracking: always every packet from a replica's address and port is one: " +
			"a client cannot reach that port directly through here, a flow that the replica begins from it does not work, and no other VIP can have it", judgeAnswered},
	}
}
