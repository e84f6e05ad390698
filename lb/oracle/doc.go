// Package oracle is the reference datapath: what becomes of a frame, written to be read, over raw bytes
// and in Go. It is the oracle of the kernel datapath and shares no code with it. Decide decides about
// one frame over a View of some tables and changes nothing; Memory has tables of its own, applies what
// Decide says to them, and puts all of it behind lb.Dataplane.
//
// # The order of decisions
//
// The first that applies decides. Pass hands the frame up untouched, except where said.
//
//	Ethernet  < 14 bytes                                     malformed_ethernet  drop
//	          up to two tags 0x8100, 0x88a8: cut short       malformed_ethernet  drop
//	          a third tag                                    vlan_tagged         pass
//	          EtherType neither 0x0800 nor 0x86dd            not_ip              pass
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
//	          to the address of a VIP                        fragment_orphan     drop
//	          else                                           not_ours            pass
//	look-up   destination is no VIP, source no nat replica   not_ours            pass
//	          nat, ipip: TTL or hop limit <= 1               ttl_expired         pass
//	pick      nobody serves the flow, see below              no_replica          drop
//	          the replica is the sender (not of errors)      hairpin             drop
//	way out   no route to the replica, or to the client      no_route            drop
//	          IP length and outer header > MTU: the sender
//	          is told, see below                             too_big_answered    tx
//	          or not                                         too_big             drop
//	          the neighbour's MAC is not known: nat          neighbour_missing   pass, rewritten
//	          dsr, ipip                                      neighbour_pending   drop
//	          else, to a replica                             forwarded           tx or redirect
//	          else, from a replica                           returned            tx or redirect
//	          else, an ICMP error about either               error_forwarded, error_returned
//
// Lengths of layer 4 are taken from the IP header: what follows in the frame is Ethernet padding. A UDP
// length past the end is right in a first fragment. IPv6 with a payload length of 0 has no payload:
// jumbograms are not known. IPv4 options are not looked at. A fragment header with offset 0 and no more
// fragments makes no fragment (RFC 6946).
//
// The VIP is looked up before the replica: a packet from a replica to a VIP is balanced. What a first
// fragment shows is remembered if the look-up finds something, whatever becomes of it afterwards; later
// fragments have its ports and protocol.
//
// An error is of ICMP type 3, 4, 11, 12, of ICMPv6 1 to 4, and quotes, within its own packet, a whole
// IP header (of IPv4 with options and of offset 0, of IPv6 without extensions) and 8 bytes of TCP or
// UDP, from the address that the error goes to. It is looked up as a packet of the flow that the quoted
// one's receiver sends; it belongs to that flow, and is neither recorded nor counted for it.
//
// Who is told: an IPv4 or IPv6 host (not unspecified, of a loop, of a group, of all) gets an answer to
// an echo request without options and extension headers; and "packet too big" about one that is longer
// than the MTU unless that may be fragmented (IPv4 without DF), is a later fragment or an ICMP error,
// or is shorter than what would be quoted of it. The datapath of the kernel sends so many of these a
// second at most.
//
// # What is rewritten
//
// nat: Towards a replica the destination address and port, on the way back the source, together with
// the checksums of layer 4 and IPv4, both updated incrementally (RFC 1624, equation 3), so that a wrong
// checksum stays wrong. UDP without a checksum (0) stays without; UDP's 0 that comes out of the update
// is sent as 0xffff (RFC 768). A later fragment has neither ports nor a checksum of layer 4. An error
// has, of the packet that it quotes, the other end rewritten: with its checksums as far as they are
// quoted, with the checksum of ICMP, and with its own destination, or source if that was the replica.
//
// dsr: nothing. ipip: nothing inside, and a header outside with a TTL of 64 and the inner TOS or
// traffic class; of IPv4 with DF and no ID, of IPv6 with 20 bits of the flow's hash as flow label.
//
// What is sent has, besides, its TTL one less (not with dsr) and the MAC addresses of the next hop, and
// its VLAN tags only if it leaves by the interface that it came on. A packet whose neighbour is missing
// keeps TTL, MAC addresses and tags: the kernel forwards it, and decrements then.
//
// # Which replica
//
// The hash of a flow names a slot of its service's table, and a slot has a current owner. A service
// that remembers flows (tracking changes, always) has besides
//
//   - marks: a marked slot has a base, the owner of flows from before; one that is not marked is quiet;
//   - records: the replica of a flow, of one that has only started (embryonic) or of one that goes on
//     (established).
//
// Packets of a quiet slot go to the current owner and leave no record, unless tracking is always. Else,
// "watched", the first that applies:
//
//  1. The flow is recorded with a replica that serves (active or draining): that one. The record
//     becomes young, and established if the packet is not the first of a TCP connection (SYN without
//     ACK).
//  2. TCP, and not the first packet: base, if the slot is marked and base serves, whose age is then 0;
//     else current.
//  3. Else: current, and the flow is recorded with it.
//
// A change of the service makes slots marked. Replicas are the same if their address and port are.
//
//   - The slots are the same parts of the hash space (same size, hash, seed): a quiet slot whose owner
//     x is not the new one any more gets x as base, if x is still listed, in whatever state; else
//     nobody can have flows in it, and it stays quiet. A marked slot stays marked, and keeps its base
//     if that is still listed, else has none. The age of all bases becomes 0.
//   - They are not: the service has moved. All of it is watched and counts as marked; the bases are in
//     the table from before, with its size and hash, and stay there whatever changes next: a quiet
//     slot's owner, a marked slot's base. If no replica of before is listed any more, all is quiet.
//
// UDP has records and no marks: no packet of it says that it is from before.
//
// Time goes in steps of an eighth of the idle time. In each, first, the age of every record and every
// base goes up by one, and a record whose age becomes 9 is forgotten. Then a marked slot becomes quiet
// when no flow of it is recorded with another replica than current, and its base is none, or current,
// or of age 9. A service that has moved becomes quiet as a whole, when all bases are none or of age 9
// and no flow is recorded with another replica than its current owner; or, if the hash has changed,
// when none is recorded at all, since the kernel's records do not hold what another hash needs.
//
// # Why that holds
//
// The promise: a TCP flow stays with the replica of its first packet, while that is listed and serves,
// the flow is not silent for longer than the idle time, and the service remembers flows. (If the idle
// time changes, the lesser one counts.)
//
// Silence. Something used at some time is of age 0 then, and of age 9 after the ninth step from there.
// The first step may come at once, the other eight take the idle time. So neither a record nor a base
// is lost or passed over while a flow that uses it keeps the promise's condition. An age of 8 would not
// do: that may be after seven eighths.
//
// Of records, the following always holds: (Q) the flows of a quiet slot are recorded, if at all, with
// the slot's current owner. It holds at first, there being none. A packet of a quiet slot, if it
// records, records current (rule 3). A slot becomes quiet by a step only if Q holds then. A change
// leaves a quiet slot quiet if the owner is the same; or if it is gone, and with it every record, by Q.
// A moved service becomes quiet by a step only if Q holds, or by a change when all replicas, and so all
// records, are gone. Records do not outlive a time without tracking.
//
// Now let R be the replica of a flow's first packet. At every later moment one of these is true:
//
//	(a) the slot is quiet, and its current owner is R;
//	(b) the slot is marked, and the flow is recorded with R;
//	(c) the slot is marked, the flow is not recorded, and the base is R.
//
// In each the flow goes to R: by the current owner, also if tracking is always (there rule 1, by Q, or
// rules 2 and 3); by rule 1; by rule 2. The flow's own packets change nothing about it but ages. It is
// true to begin with:
//
//   - It started while its slot was quiet: current was R, which is (a).
//   - It started while the slot was marked: by rule 1 or 3 it is recorded with R, which is (b).
//
// And it stays true:
//
//   - A change. From (a): the slot is quiet with R; or marked with R as base, which is listed. Then it
//     is (c), or (b) if the flow is recorded: with R, by Q. From (b) or (c) the slot stays marked, with
//     its base and the record: R is listed. A service that moves, or has moved, keeps the same bases in
//     another place; if all its replicas are gone, R is, too.
//   - A step that forgets the record. In (b) every packet of the flow makes it young. So the record is
//     one that was not looked at in (a), and the flow has been silent since the slot was marked: the
//     base is R, and (c) is true.
//   - A step that takes a mark off. From (b), R is current: (a). From (c), if the base is current, that
//     is R: (a). Else the base was of age 9: neither the flow used it for the idle time, nor was the
//     slot marked since then. For a service that has moved the same holds with the current owner of the
//     flow's hash.
//
// Other flows cannot interfere: what is said of a flow is its own record, and a base used more often is
// only kept longer.
//
// With tracking always, a UDP flow keeps to its record in the same way: by rule 1 every packet makes it
// young.
//
// What is not promised:
//
//   - A SYN without a record counts as the first of a new flow. Of a flow that started in a quiet slot,
//     a SYN that is sent again after the very first change may go elsewhere, and so may whatever
//     follows it. From then on it is recorded.
//   - Flows that started while tracking was never, except those since the last change before it was
//     switched on.
//   - The kernel's records have room for so many flows. One that starts when there is none is not
//     recorded, or pushes another one out that has only started; one that goes on is never pushed out.
//     It tells flows apart by some 50 bits, not by all of them.
//   - A flow whose replica is down goes to others, and, if it sends no SYN, comes back when the replica
//     does. Removing a service, or a replica, forgets its flows.
//   - A service whose hash or seed has changed watches every flow until for an idle time there is none.
package oracle
