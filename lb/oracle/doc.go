// Package oracle is the reference datapath: what becomes of a frame, written to be read, over raw bytes
// and in Go. The kernel datapath is compared with it. Decide decides about one frame over a View of some
// tables and changes nothing; Datapath has tables of its own, applies what Decide says to them, and puts all
// of it behind lb.Dataplane.
//
// It shares no code with what it checks: it imports neither bpf nor lb/tables, lb/nexthop, lb/xdp or lb/datapath.
// What both use cannot be checked by comparing them, and has tests of its own: lb (which services are valid, and
// which exclude each other), lb/scheduler (which replica owns which slot: properties, and a table written
// out), lb/fanout (which monitor gets which sample), rss (Toeplitz: Microsoft's vectors, and its tables against the
// definition). The kernel's program itself is C: it reads slots that the scheduler has filled and Toeplitz tables
// that rss has made, and computes jhash and all else on its own.
//
// # The order of decisions
//
// The first that applies decides. Pass hands the frame up untouched, except where said.
//
//	Ethernet  < 14 bytes                                     malformed_ethernet  drop
//	          up to two tags 0x8100, 0x88a8: cut short       malformed_ethernet  drop
//	          a third tag                                    vlan_tagged         pass
//	          EtherType neither 0x0800 nor 0x86dd            not_ip              pass
//	          destination MAC a group's                      other_mac           pass
//	IPv4      < 20 bytes, version not 4, IHL < 5,
//	          total length < header or > bytes present       malformed_ip        drop
//	          later fragment neither of TCP nor of UDP       not_tcp_udp         pass
//	IPv6      < 40 bytes, version not 6,
//	          payload length > bytes present                 malformed_ip        drop
//	          extension 51, 135, 139, 140; the seventh one;
//	          the second fragment header                     ipv6_extension      pass
//	          0, 43, 60, 44 cut short                        malformed_ip        drop
//	          43 with segments left                          ipv6_extension      pass
//	TCP       < 20 bytes, data offset < 5 or past the end    malformed_l4        drop
//	UDP       < 8 bytes, length < 8 or past the end          malformed_l4        drop
//	ICMP      < 8 bytes, of the own IP version, no fragment  malformed_l4        drop
//	          echo request to a VIP, see below               echo_answered       tx
//	          neither that nor an error about a flow         not_tcp_udp         pass
//	other     protocols, fragments of ICMP                   not_tcp_udp         pass
//	fragment  a later one, the first has not been seen:
//	          to the address of a VIP, see below             fragment_orphan     drop
//	          else                                           not_ours            pass
//	look-up   destination is no VIP, source no nat replica,
//	          or not with an answer, see below               not_ours            pass
//	          to a VIP, the source cannot be a host's        martian_source      drop
//	          nat, ipip: TTL or hop limit <= 1               ttl_expired         pass
//	pick      the client is in none of the source ranges     source_denied       drop
//	          nobody serves the flow, see below              no_replica          drop
//	          it begins a flow, and no more may now          rate_limited_flows  drop
//	          no more packets may go to replicas now         rate_limited_packets drop
//	          its replica could not tell the flow apart      port_taken          drop
//	          the replica is the sender (not of errors)      hairpin             drop
//	route     no route to the replica, or to the client      no_route            drop
//	          an answer, and no route leads away from here   for_this_host       pass
//	          no room in the frame for the outer header      no_headroom         drop
//	          IP length and outer header > MTU, see below:
//	          nat: a super-packet                            super_packet_passed pass, rewritten
//	          nat: it may be fragmented                      too_big_passed      pass, rewritten
//	          the sender is told                             too_big_answered    tx
//	          dsr, ipip: a super-packet                      super_packet        drop
//	          ipip: no sender would make it shorter          tunnel_too_narrow   drop
//	          else                                           too_big             drop
//	          the neighbour's MAC is not known: nat          neighbour_missing   pass, rewritten
//	          dsr, ipip                                      neighbour_pending   drop
//	          else, to a replica                             forwarded           tx or redirect
//	          else, from a replica                           returned            tx or redirect
//	          else, an ICMP error about either               error_forwarded, error_returned
//
// The length of TCP, UDP or ICMP follows from the IP header; what is behind it in the frame is Ethernet padding. In
// a first fragment a UDP length past the end is right. IPv6 with a payload length of 0 has no payload: jumbograms
// are not supported. IPv4 options are skipped. A packet with a fragment header of offset 0 and without more
// fragments is whole (RFC 6946).
//
// What is not balanced is settled by its addresses, where an IP header of the version that the EtherType says has
// them. Malformed, and not to the address of a VIP: not_ours, pass; except that malformed_l4 stays where ports are
// there and those of a replica's answer. To the address of a VIP, and so far not_ours, not_tcp_udp, ipv6_extension or
// fragment_orphan: if the kernel would not forward it either (the address is the host's, no route, forwarding is
// off), for_this_host, pass; otherwise it would go round between the router and this host, and is dropped as
// vip_no_service, an orphan as fragment_orphan. Nor would it forward what is from or to a link-local, loopback or
// multicast address of IPv6. So a first fragment that is too short for a header of TCP, legal by RFC 791, is passed
// unless it is to a VIP or an answer. There it is dropped (RFC 3128): its flags and its checksum, which nat must
// update, are in another fragment.
//
// Where that is asked for (lb.RejectNoService), what would be dropped as vip_no_service is rejected, tx, as a host does
// at which nobody listens; unless its source cannot be a host's, or it is a later fragment. A whole segment of TCP
// without RST gets a RST (RFC 9293, section 3.10.7.1): if it has ACK, from the number that it acknowledges; otherwise
// from 0, with ACK of all that it has, SYN and FIN included. A first fragment of TCP gets none. Other packets get an
// ICMP error, which quotes as much of them as 576 bytes of IPv4 and 1,280 of IPv6 have room for. UDP: "port
// unreachable". An echo request, which has options or extension headers then, or a code, or is a first fragment:
// "administratively prohibited"; no other ICMP. Any other protocol: "protocol unreachable"; in IPv6 "unrecognized next
// header", and where the field is that names it; but nothing of 59, no next header, and of headers that were too many
// or had segments left. The answer comes from the VIP, with a TTL of 64, and has the tags of the packet. Checksums of
// the packet are not looked at. The kernel's datapath limits how many it sends a second: reject_limited, drop.
//
// A source cannot be a host's if the kernel takes it for a martian (ip_route_input_slow, ip6_rcv_core): 0.0.0.0/8,
// 127.0.0.0/8, multicast, 255.255.255.255; ::, ::1, multicast, ::ffff:0:0/96; nor if it is the destination.
//
// A service with several ports (lb.Service.EndPort) has, beside its VIP, the packets to its other ports that are the VIP of no
// service. All its ports are one service: it has one table, and one of everything that is counted or limited. The hash of
// a flow has the port that its client asked, which stays.
//
// The VIP is looked up before the replica: a packet from a replica to a VIP is balanced. What else comes from a replica's
// address and port is an answer, if its service does not record every flow (tracking always). If it does, there may be
// several services with that replica, by nat, and the first of these rules applies, to the flow from the packet's
// destination to the VIP:
//
//  1. By the VIP to which the flow is recorded with this replica.
//  2. By the only VIP to which it is recorded with a replica that does not serve: others get its packets then.
//  3. By the VIP whose service has not yet recorded every flow to the replica for an idle time: it tracked otherwise before,
//     and had the replica. There is at most one, since other services can have the replica only from then on.
//  4. By the only VIP with the replica, if the kernel's datapath has no room for the record of a flow that begins: this one
//     may have had a record, whose place others took.
//  5. It is no answer, but of a flow that the replica has begun, or with which it was reached directly.
//
// If the look-up of a first fragment finds something, its ports and protocol are kept for the later fragments, whatever
// then becomes of it; and once more under the addresses and ports that it is rewritten to.
//
// An error is ICMP of type 3, 4, 11, 12 or ICMPv6 of type 1 to 4. It quotes, within its own length, a whole IP
// header (IPv4 with its options, IPv6 with extension headers as above) and 8 bytes of TCP or UDP, sent by the address to
// which the error goes; or a later fragment whose first one has been kept. Its flow is that which the receiver of the
// quoted packet sends. The error goes to the flow's replica or client; it is neither recorded nor counted for the flow.
//
// An error of type 3 or 11, or ICMPv6 of type 1 to 3, that so far is not_tcp_udp or not_ours may also quote an outer packet of
// mode ipip and in it, behind UDP or not, likewise, the inner one, unless that is a later fragment. It is about a packet of ours if
// the inner one is to a service in that mode, and the outer one is as that flow's would be now: from our address, to which the error
// goes, to the replica, with those ports. Then the sender of the inner packet is sent an error about that, if it may be answered
// (below): error_returned, or for_this_host, no_route, too_big, neighbour_missing as on any other way
// to a client. It comes from the VIP with a TTL of 64, quotes the inner packet as far as that is quoted, and says "host
// unreachable" or "address unreachable"; or, if the error is "fragmentation needed" or "packet too big", that with the
// MTU left for the inner packet. IPv6 of at most 1,280 bytes ends in tunnel_too_narrow instead. The MTU of the error, at
// least 552 in IPv4 and 1,280 in IPv6, counts from then on for 10 minutes as that of the path to the replica, where it
// is less than what counted before.
//
// Only a single host is answered, see martian_source. It gets an
// answer to an echo request without options or extension headers. And it gets "packet too big" about a packet that is longer
// than the MTU, unless the packet is a later fragment or an ICMP error, or is shorter than what would be quoted of it. In
// modes dsr and ipip it is told whether its packet may be fragmented or not (IPv4 without DF), since senders that
// fragment by themselves send fragments without DF. IPv6 is never told less than 1,280 bytes. The kernel's datapath limits
// how many of these it sends a second.
//
// In mode nat the kernel can send what is too long, since it is addressed to the replica or the client by then: IPv4
// without DF, and IPv6 of at most 1,280 bytes, which every link carries. A super-packet is a whole packet, and no ICMP error,
// that is longer than the MTU of the interface that it came in on: several segments, which the sender has not cut yet or
// the kernel has put together. They are cut on the way out, so they are not too long; in mode nat the kernel sends them,
// in the other modes nobody can.
//
// # For whom, and how much
//
// A service with source ranges is for the clients that are in one of them, of the address family of the VIP. The client is the source of
// the flow: of a later fragment, too; of an ICMP error that of the flow which it is about, so that routers on the way need not be in
// the ranges. Answers of replicas and echo requests are not looked at, and an error about an outer packet is relayed to whoever
// sent the inner one. What is denied changes nothing in the records.
//
// A service with rates has a bucket of tokens for new flows, and one for packets. Each holds at first what is earned in a
// burst, but at least one token, and never more; it earns as many a second as the rate says. A packet with a replica takes a
// token for a new flow, if it begins one; then one for a packet, whatever it is. If there is none for the new flow, it takes none for a
// packet either. It begins a flow of TCP if it is a SYN without ACK, be it one sent again; a flow of UDP if it is about to be recorded
// (tracking always). A later fragment or an error begins none. What does not get through records no flow; but to a flow that is
// recorded, or to a previous owner, it counts as a packet that was seen. Another rate or burst makes both buckets full; other changes
// leave them. The kernel's datapath hands out tokens for packets to a CPU by as many as are earned in 15 us.
//
// # What is counted of flows
//
// Besides its packets, of each replica is counted what packets say of its flows:
//
//   - begun: a packet that begins a flow, in the words of the rates above, and has been given to the replica: neither denied,
//     nor limited, nor ended in port_taken. It counts also if it is not sent for a reason that is found later, as hairpin or
//     neighbour_missing. So of TCP every SYN without ACK counts, also one that is sent again; of UDP nothing where flows are not recorded.
//   - resets: in mode nat, a packet with RST that is an answer of the replica, sent or not. Neither a later fragment nor an error is one.
//   - refusals: those of the resets that have an ACK and the sequence number 0. That is how a SYN is answered where nothing listens
//     (RFC 9293, section 3.10.7.1); a connection that has begun has that number with a probability of 2^-32.
//
// The counts of a replica begin with it, and are gone with it.
//
// # What is rewritten
//
// nat: towards a replica the destination address and port, towards a client the source; and the checksums of TCP,
// UDP and IPv4. They are updated incrementally (RFC 1624, equation 3), so a wrong checksum stays wrong. UDP
// without a checksum (0) stays without; if the update of UDP's checksum gives 0, 0xffff is sent (RFC 768). A later
// fragment has neither ports nor a checksum of TCP or UDP. Of a packet that an error quotes, the other end is
// rewritten, with its checksums as far as they are quoted; the checksum of ICMP is updated; and the error's own
// destination is rewritten, or its source if that was the replica. A quoted later fragment has addresses alone. The
// checksum of TCP or UDP in a super-packet is the sum of the pseudo header, not complemented; the rest is added
// where it is cut. So the new address is added to it without a complement, and the port not at all.
//
// dsr: nothing. ipip: nothing of the packet; the outer header has a TTL of 64 and the packet's TOS or traffic class.
// IPv4 has DF and no identification, IPv6 has 20 bits of the flow's hash as its flow label. Its source is our address
// towards the replica. Or, of a service with a range of source addresses, that one of them which stands among them where
// the flow's hash, mixed (Spread), stands among all of 32 bits; the first address of more than two is left out, in IPv4 the
// last one, too, and what is beyond 2^32. With gue or fou there is UDP behind the outer header: from 49152 and the 14
// low bits of the mixed hash, to the service's port, without a checksum.
//
// Besides, what is sent has a TTL one less (not with dsr), the MAC addresses of the next hop, and its VLAN tags only if
// it leaves by the interface that it came in on. What is passed rewritten keeps TTL, MAC addresses and tags: the
// kernel forwards it, and decrements the TTL then.
//
// # Which replica
//
// The hash of a flow names a slot of its service's table, and each slot has an owner, a replica. A service
// that tracks flows (tracking changes, always) has besides
//
//   - slots in transition: such a slot has a previous owner, which has the flows from before a change. A slot
//     that is not in transition is settled.
//   - records: the replica of one flow, and which of its ends have closed it. A record is half-open after the
//     flow's first packet and established after the next one.
//
// Packets of a settled slot go to the owner and leave no record, unless tracking is always. For any other
// packet of a service that tracks flows, the first of these rules applies:
//
//  1. The flow is recorded with a replica that serves (active or draining), and the packet does not begin
//     another flow: that replica. The age of the record becomes 0, and the record established unless the packet
//     is a SYN without ACK; but a SYN changes nothing in a half-open record of a replica that drains.
//  2. TCP, and not a SYN without ACK: the previous owner, if the slot is in transition and the previous owner
//     serves; its age becomes 0. Otherwise the owner. If tracking is always and there is no record, the flow is recorded
//     with it, as half-open.
//  3. Otherwise: the owner, and the flow is recorded with it, as half-open, instead of what was recorded.
//
// To record a flow with a replica by nat, no other service may have a record, from the same address and port of a client
// to the same address and port of a replica, of a flow that has not ended: the replica sees the same four of both, and
// neither could be answered rightly. The packet ends in port_taken. The record of one that has ended is removed. When
// a service becomes one by nat, its records of replicas that other services have by nat are removed: so far these flows
// were told apart by their VIPs.
//
// A SYN without ACK begins another flow, with the addresses and ports of the recorded one, if both ends have closed
// that; or if its replica drains, and it is established or, half-open, closed by one end or of age 7 or more. So a
// replica that drains gets no new flow, while a SYN that is sent again goes where it went before.
//
// The age of a record also becomes 0 by an answer, if tracking is always and the record is established or of UDP. A half-open
// TCP flow is its client's to keep alive: else a replica that drains would by its SYN-ACKs.
//
// A RST of either end closes both. A FIN of the client closes its end; in dsr and ipip, where the replica's is not
// seen, both. In nat a FIN of the replica, from its address and port to a client, closes its end: of the flow that
// it answers, if that is recorded with it. A packet of the client with data and without FIN and RST
// opens both again. A TCP flow that is recorded by rule 2 counts as closed by its replica up to its next packet, so that
// a SYN is not taken for one sent again. What is closed goes on as before, whoever may have forged the RST. It only is not counted
// (Flows) from age 2 on.
//
// A change of the service puts slots into transition. Two replicas are the same if their address and port are.
//
//   - The slots of old and new service are the same parts of the hash space (same size, hash and seed). A
//     settled slot whose owner changes goes into transition, with the old owner as its previous owner, if
//     that is still listed, in whatever state. If it is not listed, no flow can be with it, and the slot
//     stays settled. A slot in transition stays so and keeps its previous owner, or has none if that is
//     not listed any more. The ages of all previous owners become 0.
//   - They are not the same: the service is rehashed. All its slots are in transition. The previous owners
//     are in the previous table, with its size and hash: the owner of a slot that was settled, the previous
//     owner of one that was in transition. Further changes keep that table. If none of the replicas from
//     before is listed any more, the service is settled instead.
//
// UDP has records only, no slots in transition: its packets do not tell whether a flow is from before.
//
// Time goes in steps of an eighth of the idle time. In each step, the age of every record and of every
// previous owner first goes up by one, and a record whose age becomes 9 is removed. Then a slot in
// transition is settled if no flow of it is recorded with another replica than the owner, and the previous
// owner is none, or the owner, or of age 9. A rehashed service is settled as a whole: if all previous owners
// are none or of age 9, and no flow is recorded with another replica than the owner of its slot; or, if the
// hash has changed, if there is no record at all, since the kernel's records do not hold the new hash.
//
// # Why that holds
//
// The promise: a TCP flow stays with the replica of its first packet, while that replica is listed and
// serves, the flow is never silent for longer than the idle time, and the service tracks flows. (If the idle
// time changes, the lesser value counts.)
//
// Silence. Something that was used at some time has age 0 then, and age 9 after the ninth step from there.
// The first step may come at once; the other eight take the idle time. So neither a record nor a previous
// owner expires while a flow that uses it keeps the promise's condition. Age 8 would be too early: that may
// be after seven eighths of the idle time.
//
// Records. This always holds: (S) if a flow of a settled slot has a record, the record names the slot's owner.
// It holds at first, as there are no records. A packet of a settled slot that records, records the owner (rule
// 3). A step settles a slot only if S holds then. A change leaves a settled slot settled if the owner is the
// same; or if the owner is gone, and with it, by S, every record. A rehashed service is settled by a step only
// if S holds, or by a change if all replicas, and so all records, are gone. Records do not outlive a time
// without tracking.
//
// Now let R be the replica of a flow's first packet. At every later moment one of these is true:
//
//	(a) the slot is settled, and its owner is R;
//	(b) the slot is in transition, and the flow is recorded with R;
//	(c) the slot is in transition, the flow is not recorded, and the previous owner is R.
//
// (A flow whose both ends have closed it has no further SYN, nor has one that has gone on; a SYN then is the first
// packet of another flow. The SYNs with which a flow starts at R do not count as its packets once R drains.)
//
// In each case the flow goes to R. In (a) by the owner, also if tracking is always (there by rule 1 and S, or
// by rules 2 and 3); in (b) by rule 1; in (c) by rule 2. The flow's own packets change nothing but ages. One of
// the three is true to begin with:
//
//   - The flow started while its slot was settled: the owner was R, which is (a).
//   - It started while the slot was in transition: by rule 1 or 3 it is recorded with R, which is (b).
//
// (If rule 2 records it later, it is with R: by (a) as the owner, by (c) as the previous owner.)
//
// And one of them stays true:
//
//   - A change. From (a): the slot stays settled with R; or it goes into transition with R as the previous
//     owner, since R is listed. Then it is (c), or (b) if the flow is recorded: with R, by S. From (b) or (c)
//     the slot stays in transition and keeps its previous owner and the record, since R is listed. A service that
//     is rehashed keeps the same previous owners in another place; if all its replicas are gone, R is, too.
//   - A step that removes the record. In (b) every packet of the flow resets the record's age. So the record
//     is one that was not used in (a), and the flow has been silent since the transition began. The previous
//     owner is R, which is (c).
//   - A step that settles the slot. From (b), R is the owner: (a). From (c), if the previous owner is the
//     owner, that is R: (a). Otherwise the previous owner was of age 9: neither has the flow used it for
//     the idle time, nor has the transition begun since then. So the flow was silent for longer than the
//     promise allows. For a rehashed service the same holds with the owner by the flow's new hash.
//
// Other flows cannot interfere: the record is the flow's own, and a previous owner that others use, too, only
// lasts longer.
//
// With tracking always, a UDP flow stays with the replica of its record in the same way: by rule 1 every packet
// resets the record's age.
//
// All of this is about flows to a service. Where a port goes to another service, since that has it as its VIP or among its ports
// now, so do the packets to it, and they find nothing of what is recorded with the first one; its records age, and are found
// again if the port comes back meanwhile.
//
// What is not promised:
//
//   - A SYN without a record counts as the first packet of a new flow. If a flow started in a settled slot and
//     sends its SYN again right after the very first change, that SYN may go to another replica, and so may
//     what follows it. From then on the flow is recorded.
//   - A SYN during a flow, forged or late, moves the flow if its replica drains, or if both ends have closed it.
//   - Flows that started while tracking was never, except those since the last change before tracking was
//     switched on.
//   - The kernel has room for a limited number of records. A flow that starts when there is none is not
//     recorded, or evicts a half-open one; an established one is never evicted. The kernel tells flows apart by
//     some 48 bits, not by all of them.
//   - A flow from the port of a client that has another one to the same replica by another VIP, as long as that one has not
//     ended; or, in the idle time after a service began to record every flow, is not recorded.
//   - A flow whose replica is down goes to others, and, unless it sends a SYN, returns when the replica is up
//     again. When a service or a replica is removed, its flows are forgotten.
//   - A service whose hash or seed has changed looks up the record of every flow until there was none for an idle
//     time.
package oracle
