// Package model is the reference datapath: what becomes of a frame, written to be read, over
// raw bytes and in Go. It is the oracle of the kernel datapath and shares no code with it. Memory
// puts it behind lb.Dataplane.
//
// # The order of decisions
//
// The first that applies decides. Pass hands the frame up untouched, except where said.
//
//	Ethernet  < 14 bytes                                     malformed_ethernet  drop
//	          EtherType 0x8100, 0x88a8                       vlan_tagged         pass
//	          EtherType neither 0x0800 nor 0x86dd            not_ip              pass
//	IPv4      < 20 bytes, version not 4, IHL < 5,
//	          total length < header or > bytes present       malformed_ip        drop
//	          IHL > 5                                        ip_options          pass
//	          more fragments, or an offset                   fragment            pass
//	IPv6      < 40 bytes, version not 6,
//	          payload length > bytes present                 malformed_ip        drop
//	          next header 0, 43, 60, 51, 135, 139, 140       ipv6_extension      pass
//	          next header 44                                 fragment            pass
//	both      protocol neither TCP nor UDP                   not_tcp_udp         pass
//	TCP       < 20 bytes, data offset < 5 or past the end    malformed_l4        drop
//	UDP       < 8 bytes, length < 8 or past the end          malformed_l4        drop
//	look-up   destination is no VIP, source no nat replica   not_ours            pass
//	          TTL or hop limit <= 1                          ttl_expired         pass
//	          the service has no replicas                    no_replica          drop
//	way out   no route to the replica, or to the client      no_route            drop
//	          IP length > MTU of the way out                 too_big             drop
//	          the neighbour's MAC is not known               neighbour_missing   pass, rewritten
//	          else, to a replica                             forwarded           tx or redirect
//	          else, from a replica                           returned            tx or redirect
//
// Lengths of layer 4 are taken from the IP header: what follows in the frame is Ethernet padding.
// The VIP is looked up before the replica: a packet from a replica to a VIP is
// balanced. The first fragment counts as a fragment. IPv6 with a payload length of 0 has no
// payload: jumbograms are not known.
//
// # What is rewritten
//
// Towards a replica the destination address and port, on the way back the source, together with
// the checksums of layer 4 and IPv4, both updated incrementally (RFC 1624, equation 3), so that a
// wrong checksum stays wrong. UDP without a checksum (0) stays without; UDP's 0 that comes
// out of the update is sent as 0xffff (RFC 768). What is sent has, besides, its TTL one less
// and the MAC addresses of the next hop. A packet whose neighbour is missing keeps
// TTL and MAC addresses: the kernel forwards it, and decrements then.
package model
