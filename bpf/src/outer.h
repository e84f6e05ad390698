/* The headers around a packet in mode ipip. RFC 2003, RFC 2473. */
#pragma once

#include "spread.h"

static __always_inline void outer_v4(struct iphdr *ip, const struct replica *r, const __u8 *source,
				     __u32 bytes, __u8 tos, __u8 protocol)
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
	ip->saddr = mapped_v4(source);
	ip->daddr = mapped_v4(r->address);
	sum = (ip->saddr & 0xffff) + (ip->saddr >> 16) + (ip->daddr & 0xffff) + (ip->daddr >> 16);
	sum += 0x45 | tos << 8; /* words as they lie in memory */
	sum += ip->tot_len + DONT_FRAGMENT + (64 | protocol << 8);
	ip->check = ~fold(sum);
}

static __always_inline void outer_v6(struct ipv6hdr *ip, const struct replica *r, const __u8 *source,
				     __u32 bytes, __u8 class, __u8 next, __u32 hash)
{
	store32(ip, bpf_htonl(6 << 28 | class << 20 | (hash & 0xfffff)));
	ip->payload_len = bpf_htons(bytes);
	ip->nexthdr = next;
	ip->hop_limit = 64;
	copy16(&ip->saddr, source);
	copy16(&ip->daddr, r->address);
}

/* Writes the outer headers where they differ by flow. */
static __always_inline bool outer_by_flow(void *at, void *end, const struct service *s, const struct replica *r,
					  const __u8 *own, __u32 bytes, __u8 class, __u8 next, __u32 hash)
{
	__u32 by_flow = spread(hash);
	struct udphdr *udp;
	__u8 source[16];

	tunnel_source(source, s, own, by_flow);
	if (s->udp_bytes)
		next = IPPROTO_UDP;
	if (r->ip_version == 6) {
		if (at + sizeof(struct ipv6hdr) > end)
			return false;
		outer_v6(at, r, source, bytes + s->udp_bytes, class, next, hash);
		udp = at + sizeof(struct ipv6hdr);
	} else {
		if (at + sizeof(struct iphdr) > end)
			return false;
		outer_v4(at, r, source, bytes + s->udp_bytes, class, next);
		udp = at + sizeof(struct iphdr);
	}
	if (s->udp_bytes) {
		if (PAST_END(udp, end))
			return false;
		write_udp(udp, s, bytes, by_flow);
	}
	return true;
}

/* The length of what is put around a packet to a replica. */
static __always_inline __u32 outer_bytes(const struct service *s, const struct replica *r)
{
	return (r->ip_version == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + s->udp_bytes;
}
