package lb

// Reason is the named cause of a packet's verdict. Every packet that a datapath
// sees ends in exactly one. The names of the kernel datapath come from its enum
// lb_reason by BTF; a test holds these constants, which the reference datapath
// uses, equal to them.
type Reason string

// The reasons. The comment gives the verdict.
const (
	// Forwarded: rewritten to a replica and sent (tx, redirect).
	Forwarded Reason = "forwarded"
	// Returned: a replica's answer, rewritten to come from the VIP and sent (tx, redirect).
	Returned Reason = "returned"
	// NotIP: EtherType neither IPv4 nor IPv6 nor VLAN (pass).
	NotIP Reason = "not_ip"
	// VLANTagged: 802.1Q or 802.1ad (pass).
	VLANTagged Reason = "vlan_tagged"
	// NotTCPUDP: an IP protocol without ports that we balance, ICMP included (pass).
	NotTCPUDP Reason = "not_tcp_udp"
	// NotOurs: no service has this destination, no replica this source (pass).
	NotOurs Reason = "not_ours"
	// Fragment: an IPv4 fragment, the first included, or an IPv6 fragment header (pass).
	Fragment Reason = "fragment"
	// IPOptions: an IPv4 header longer than 20 bytes (pass).
	IPOptions Reason = "ip_options"
	// IPv6Extension: a hop-by-hop, routing, destination, AH, mobility, HIP or shim6 header (pass).
	IPv6Extension Reason = "ipv6_extension"
	// TTLExpired: ours, but TTL or hop limit at most 1 (pass, untouched: the kernel answers).
	TTLExpired Reason = "ttl_expired"
	// NeighbourMissing: rewritten, but the next hop's MAC is not known yet (pass: the kernel resolves it and forwards).
	NeighbourMissing Reason = "neighbour_missing"
	// MalformedEthernet: fewer than 14 bytes (drop).
	MalformedEthernet Reason = "malformed_ethernet"
	// MalformedIP: an IP header that is cut short or contradicts itself (drop).
	MalformedIP Reason = "malformed_ip"
	// MalformedL4: a TCP or UDP header that is cut short or contradicts itself (drop).
	MalformedL4 Reason = "malformed_l4"
	// NoReplica: a service without a replica that serves (drop).
	NoReplica Reason = "no_replica"
	// NoRoute: ours, but there is no way to the next hop (drop).
	NoRoute Reason = "no_route"
	// TooBig: ours, but longer than the MTU of the way out (drop).
	TooBig Reason = "too_big"
	// TableFault: the tables contradict each other; always a bug (drop).
	TableFault Reason = "table_fault"
)
