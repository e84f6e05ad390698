package lb

// Reason is the named cause of a packet's verdict. Every packet that a datapath sees ends in exactly one.
//
// They are written in C, as enum lb_reason of bpf/src/lb.h, and the kernel's datapath reads their names from BTF. A
// test compares these constants, which the reference uses, and the table in the comment of lb/oracle with them.
type Reason string

// The reasons. The comment gives the verdict.
const (
	// Forwarded: rewritten to a replica and sent (tx, redirect).
	Forwarded Reason = "forwarded"
	// Returned: a replica's answer, rewritten to come from the VIP and sent (tx, redirect).
	Returned Reason = "returned"
	// ErrorForwarded: an ICMP error about a flow to a VIP, sent to the flow's replica (tx, redirect).
	ErrorForwarded Reason = "error_forwarded"
	// ErrorReturned: an ICMP error about a replica's flow, rewritten to be about the VIP's and
	// sent to the client (tx, redirect).
	ErrorReturned Reason = "error_returned"
	// EchoAnswered: an ICMP echo request to the address of a VIP, answered (tx).
	EchoAnswered Reason = "echo_answered"
	// TooBigAnswered: ours, but longer than the MTU of its route: its sender is told (tx).
	TooBigAnswered Reason = "too_big_answered"
	// Rejected: to the address of a VIP, but to a port or protocol of no service; the sender is told by a reset or an ICMP
	// error, where that is asked for (tx).
	Rejected Reason = "rejected"
	// NotOurs: no service has this destination, no replica this source, also if it is malformed (pass).
	NotOurs Reason = "not_ours"
	// ForThisHost: an answer of a replica, or a packet to the address of a VIP that no service takes, and the kernel's FIB
	// leads no further than this host: it is to one of the host's own addresses, or there is no route, and the
	// kernel says so (pass).
	ForThisHost Reason = "for_this_host"
	// OtherMAC: the frame is to a group of stations, all of them included (pass).
	OtherMAC Reason = "other_mac"
	// NotIP: EtherType neither IPv4 nor IPv6 nor VLAN (pass).
	NotIP Reason = "not_ip"
	// VLANTagged: more than two tags, 802.1Q or 802.1ad (pass).
	VLANTagged Reason = "vlan_tagged"
	// NotTCPUDP: an IP protocol without ports that we balance, or ICMP that is not about
	// such a flow (pass).
	NotTCPUDP Reason = "not_tcp_udp"
	// IPv6Extension: an extension header that is not looked behind (AH, mobility, HIP, shim6,
	// routing with segments left), or more of them than are looked at (pass).
	IPv6Extension Reason = "ipv6_extension"
	// TTLExpired: ours, but TTL or hop limit at most 1 (pass, untouched: the kernel answers).
	TTLExpired Reason = "ttl_expired"
	// NeighbourMissing: rewritten, but the next hop's MAC is not known yet (pass: the kernel resolves it and forwards).
	NeighbourMissing Reason = "neighbour_missing"
	// TooBigPassed: nat; rewritten, longer than the MTU of its route, and it may be fragmented (pass: the kernel
	// does that and forwards it).
	TooBigPassed Reason = "too_big_passed"
	// SuperPacketPassed: nat; rewritten, and longer than the MTU of the interface that it came in on: several
	// segments in one packet, as senders with segmentation offload and receivers with GRO have them in mode
	// generic (pass: the kernel forwards it and cuts it where it must).
	SuperPacketPassed Reason = "super_packet_passed"
	// NeighbourPending: dsr or ipip, and the next hop's MAC is not known yet; the kernel has been
	// asked for it, but cannot send the packet in our place (drop).
	NeighbourPending Reason = "neighbour_pending"
	// MalformedEthernet: fewer than 14 bytes, or a VLAN tag cut short (drop).
	MalformedEthernet Reason = "malformed_ethernet"
	// MalformedIP: an IP header that is cut short or contradicts itself (drop).
	MalformedIP Reason = "malformed_ip"
	// MalformedL4: a TCP, UDP or ICMP header that is cut short or contradicts itself (drop).
	MalformedL4 Reason = "malformed_l4"
	// FragmentOrphan: a fragment to a VIP whose first fragment has not been seen (drop).
	FragmentOrphan Reason = "fragment_orphan"
	// MartianSource: to a VIP, from an address that no packet may come from: unspecified, loopback, multicast,
	// broadcast, or the VIP itself (drop).
	MartianSource Reason = "martian_source"
	// VIPNoService: to the address of a VIP, but to a port or protocol of no service; the kernel would send it on, to come
	// back; and its sender is not told (drop).
	VIPNoService Reason = "vip_no_service"
	// RejectLimited: it would have been rejected, but senders of too many such packets are told already (drop).
	RejectLimited Reason = "reject_limited"
	// SourceDenied: to a service that is not for its client, by the service's source ranges (drop).
	SourceDenied Reason = "source_denied"
	// RateLimitedFlows: it begins a flow, and as many as the service may have a second have begun (drop).
	RateLimitedFlows Reason = "rate_limited_flows"
	// RateLimitedPackets: as many packets as the service may have a second have gone to its replicas (drop).
	RateLimitedPackets Reason = "rate_limited_packets"
	// PortTaken: it begins a flow, and its client has one from the same port, by another VIP, to the replica chosen,
	// which could not tell the two apart (drop).
	PortTaken Reason = "port_taken"
	// Hairpin: the replica chosen is the sender (drop).
	Hairpin Reason = "hairpin"
	// NoReplica: a service without a replica that serves (drop).
	NoReplica Reason = "no_replica"
	// NoRoute: ours, but there is no route (drop).
	NoRoute Reason = "no_route"
	// TooBig: ours, but longer than the MTU of its route, and its sender is not told: IPv4 that
	// may be fragmented, or an ICMP error itself, or too many such packets (drop).
	TooBig Reason = "too_big"
	// SuperPacket: dsr or ipip; as SuperPacketPassed, but the kernel cannot send it in our place (drop).
	SuperPacket Reason = "super_packet"
	// TunnelTooNarrow: ipip; IPv6 of at most 1,280 bytes, which nobody need make shorter, and with the outer
	// header it is longer than the MTU of the path to the replica (drop).
	TunnelTooNarrow Reason = "tunnel_too_narrow"
	// NoHeadroom: ours, but the driver left no room before the packet for an outer header (drop).
	NoHeadroom Reason = "no_headroom"
	// TableFault: the tables contradict each other; always a bug (drop).
	TableFault Reason = "table_fault"
)

// Reasons returns every reason, in the order of the enum in C.
func Reasons() []Reason {
	return []Reason{
		Forwarded, Returned, ErrorForwarded, ErrorReturned, EchoAnswered, TooBigAnswered, Rejected, NotOurs, ForThisHost,
		OtherMAC, NotIP, VLANTagged, NotTCPUDP, IPv6Extension, TTLExpired, NeighbourMissing, TooBigPassed, SuperPacketPassed,
		NeighbourPending, MalformedEthernet, MalformedIP, MalformedL4, FragmentOrphan, MartianSource, VIPNoService, RejectLimited,
		SourceDenied, RateLimitedFlows, RateLimitedPackets, PortTaken, Hairpin,
		NoReplica, NoRoute, TooBig, SuperPacket, TunnelTooNarrow, NoHeadroom, TableFault,
	}
}
