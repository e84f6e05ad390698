// Package model is the reference datapath: what becomes of a frame, written to be read, over
// raw bytes and in Go. It is the oracle of the kernel datapath and shares no code with it. Memory
// puts it behind lb.Dataplane.
//
// # The order of decisions
//
// The first that applies decides. Pass hands the frame up untouched, except where said.
//
//	Ethernet  < 14 bytes, or a tag cut short                 malformed_ethernet  drop
//	          three tags (EtherType 0x8100, 0x88a8)          vlan_tagged         pass
//	          EtherType behind them not 0x0800, 0x86dd       not_ip              pass
//	IPv4      < 20 bytes, version not 4, IHL < 5,
//	          total length < header or > bytes present       malformed_ip        drop
//	          later fragment, neither TCP nor UDP            not_tcp_udp         pass
//	IPv6      < 40 bytes, version not 6,
//	          payload length > bytes present                 malformed_ip        drop
//	          extension header 51, 135, 139, 140;
//	          43 with segments left; a second one of 44;
//	          a seventh one                                  ipv6_extension      pass
//	          extension header 0, 43, 44, 60 cut short       malformed_ip        drop
//	both      later fragment of which no first is known:
//	          to the address of a VIP                        fragment_orphan     drop
//	          else                                           not_ours            pass
//	          neither TCP nor UDP, nor ICMP in one piece     not_tcp_udp         pass
//	TCP       < 20 bytes, data offset < 5 or past the end    malformed_l4        drop
//	UDP       < 8 bytes, length < 8, or past the end of an
//	          unfragmented packet                            malformed_l4        drop
//	ICMP      < 8 bytes                                      malformed_l4        drop
//	          echo request to the address of a VIP           echo_answered       tx
//	          neither that nor an error about a flow of
//	          its receiver                                   not_tcp_udp         pass
//	look-up   destination is no VIP, source no nat replica   not_ours            pass
//	          TTL or hop limit <= 1, unless the mode is dsr  ttl_expired         pass
//	          the service has no replicas                    no_replica          drop
//	          the replica is the sender; not of errors       hairpin             drop
//	way out   no route to the replica, or to the client      no_route            drop
//	          too long, and its sender is to know            too_big_answered    tx
//	          too long                                       too_big             drop
//	          the neighbour's MAC is not known: nat          neighbour_missing   pass, rewritten
//	          dsr, ipip                                      neighbour_pending   drop
//	          else, to a replica                             forwarded           tx or redirect
//	          else, from a replica                           returned            tx or redirect
//	          an ICMP error, to a replica                    error_forwarded     tx or redirect
//	          an ICMP error, to a client                     error_returned      tx or redirect
//
// Lengths of layer 4 are taken from the IP header: what follows in the frame is Ethernet padding.
// IPv4 options are not looked at. IPv6 with a payload length of 0 has no payload: jumbograms
// are not known. The VIP is looked up before the replica: a packet from a replica to a VIP is
// balanced. A first fragment of ours is remembered by addresses, id and, in IPv4, protocol; a
// later one goes where its ports say.
//
// The flow of an ICMP error is the one that it quotes, seen from the other end; what is
// quoted must have been sent by the error's receiver. An echo is answered if it has neither options nor
// extension headers and comes from an address that can be answered: not unspecified, of
// a loop, of a group, of all.
//
// A packet is too long if it and, in the mode ipip, the header around it exceed the MTU. Its
// sender is to know if it is IPv6, or IPv4 that may not be fragmented; is no ICMP; is no
// later fragment; and comes from an address that can be answered.
//
// # What is rewritten
//
// In the mode nat, towards a replica the destination address and port, on the way back the source,
// together with the checksums of layer 4 and IPv4, both updated incrementally (RFC 1624, equation
// 3), so that a wrong checksum stays wrong. UDP without a checksum (0) stays without; UDP's 0 that
// comes out of the update is sent as 0xffff (RFC 768). A later fragment has addresses only.
// An ICMP error is rewritten as the packet that it quotes, inside and outside; one of a router
// between us and a replica keeps its source. A packet whose neighbour is missing keeps TTL
// and MAC addresses: the kernel forwards it, and decrements then.
//
// The mode dsr changes nothing but the MAC addresses. The mode ipip puts the packet into another
// one (RFC 2003, RFC 2473), from our address on the way to the replica, with a TTL of 64, the traffic
// class of the packet inside, "don't fragment", and in IPv6 the hash as the flow label (RFC 6438).
//
// What is sent has its TTL one less, but in the mode dsr, and the MAC addresses of the next hop. It keeps
// its VLAN tags if it leaves where it came in; it loses them by another interface, behind
// which another network is.
package model
