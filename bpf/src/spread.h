/* What differs by flow in the outer headers of mode ipip, so that routers and the queues of a replica's NIC spread its
 * flows: the source port of UDP around the packet (RFC 7510, section 3), or the source address, of a range. */
#pragma once

#include "headers.h"

#define FIRST_TUNNEL_SPORT 49152 /* the dynamic ports, RFC 6335 */

/* All flows of a replica agree in the hash modulo the size of the table. MurmurHash3's finalizer makes all bits differ. */
static __always_inline __u32 spread(__u32 hash)
{
	hash = (hash ^ hash >> 16) * 0x85ebca6b;
	hash = (hash ^ hash >> 13) * 0xc2b2ae35;
	return hash ^ hash >> 16;
}

static __always_inline __be16 tunnel_sport(__u32 spread)
{
	return bpf_htons(FIRST_TUNNEL_SPORT | (spread & 0x3fff));
}

/* The source address of an outer packet; `own` is ours towards the replica. */
static __always_inline __u32 tunnel_source_v4(const struct service *s, __u32 own, __u32 spread)
{
	__u32 nth = (__u64)spread * s->sources >> 32;

	return s->sources ? bpf_htonl(bpf_ntohl(mapped_v4(s->first_source)) + nth) : own;
}

static __always_inline void tunnel_source_v6(__u8 source[16], const struct service *s, const __u8 *own, __u32 spread)
{
	copy16(source, s->sources ? s->first_source : own);
	store32(source + 12, tunnel_source_v4(s, load32(own + 12), spread));
}

/* UDP around a packet, without a checksum: the inner packet has its own. Over IPv6 tunnels may leave it out (RFC 6935). */
static __always_inline void write_udp(struct udphdr *udp, const struct service *s, __u32 bytes, __u32 spread)
{
	udp->source = tunnel_sport(spread);
	udp->dest = load16(s->tunnel_port);
	udp->len = bpf_htons(bytes + sizeof(*udp));
	udp->check = 0;
}
