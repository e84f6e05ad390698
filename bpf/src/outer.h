/* The headers around a packet in mode ipip. RFC 2003, RFC 2473. */
#pragma once

#include "spread.h"

static __always_inline void outer_v4(struct iphdr *ip, __u32 source, __u32 destination, __u32 bytes, __u8 tos, __u8 protocol)
{
	__u32 sum;

	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = bpf_htons(bytes + sizeof(*ip));
	ip->id = 0;
	ip->frag_off = DONT_FRAGMENT;
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->saddr = source;
	ip->daddr = destination;
	sum = (source & 0xffff) + (source >> 16) + (destination & 0xffff) + (destination >> 16);
	sum += 0x45 | tos << 8; /* words as they lie in memory */
	sum += ip->tot_len + DONT_FRAGMENT + (64 | protocol << 8);
	ip->check = ~fold(sum);
}

static __always_inline void outer_v6(struct ipv6hdr *ip, const __u8 *source, const __u8 *destination, __u32 bytes, __u8 class,
				     __u8 next, __u32 hash)
{
	store32(ip, bpf_htonl(6 << 28 | class << 20 | (hash & 0xfffff)));
	ip->payload_len = bpf_htons(bytes);
	ip->nexthdr = next;
	ip->hop_limit = 64;
	copy16(&ip->saddr, source);
	copy16(&ip->daddr, destination);
}

static __always_inline bool udp_by_flow(struct udphdr *udp, void *end, const struct service *s, __u32 bytes, __u32 by_flow)
{
	if (!s->udp_bytes)
		return true;
	if (PAST_END(udp, end))
		return false;
	write_udp(udp, s, bytes, by_flow);
	return true;
}

/* Write the outer headers, where they differ by flow, too. `next` is the protocol of what is in them; `own` is our address
 * towards the replica. */
static __always_inline bool wrap_v4(void *at, void *end, const struct service *s, __u32 own, __u32 to, __u32 bytes, __u8 class,
				    __u8 next, __u32 hash)
{
	__u32 by_flow;

	if (at + sizeof(struct iphdr) > end)
		return false;
	if (likely(!(s->flags & SERVICE_SPREADS))) {
		outer_v4(at, own, to, bytes, class, next);
		return true;
	}
	by_flow = spread(hash);
	outer_v4(at, tunnel_source_v4(s, own, by_flow), to, bytes + s->udp_bytes, class, s->udp_bytes ? IPPROTO_UDP : next);
	return udp_by_flow(at + sizeof(struct iphdr), end, s, bytes, by_flow);
}

static __always_inline bool wrap_v6(void *at, void *end, const struct service *s, const __u8 *own, const __u8 *to, __u32 bytes,
				    __u8 class, __u8 next, __u32 hash)
{
	__u8 source[16];
	__u32 by_flow;

	if (at + sizeof(struct ipv6hdr) > end)
		return false;
	if (likely(!(s->flags & SERVICE_SPREADS))) {
		outer_v6(at, own, to, bytes, class, next, hash);
		return true;
	}
	by_flow = spread(hash);
	tunnel_source_v6(source, s, own, by_flow);
	outer_v6(at, source, to, bytes + s->udp_bytes, class, s->udp_bytes ? IPPROTO_UDP : next, hash);
	return udp_by_flow(at + sizeof(struct ipv6hdr), end, s, bytes, by_flow);
}

/* The length of what is put around a packet to a replica. */
static __always_inline __u32 outer_bytes(const struct service *s, const struct replica *r)
{
	return (r->ip_version == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + s->udp_bytes;
}
