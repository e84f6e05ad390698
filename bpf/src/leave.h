/* The last changes before a frame leaves: MAC addresses, tags, an outer header. */
#pragma once

#include "rewrite.h"
#include "outer.h"

/* Writes the MAC addresses of the next hop, and removes the tags if the frame leaves by another
 * interface. */
static __always_inline enum lb_reason set_link(struct xdp_md *ctx, struct packet *p,
					       const void *addresses, bool keep_tags)
{
	struct ethhdr *eth = p->eth;

	if (unlikely(p->tag_bytes && !keep_tags)) {
		if (bpf_xdp_adjust_head(ctx, p->tag_bytes))
			return LB_TABLE_FAULT;
		eth = (void *)(long)ctx->data;
		if (PAST_END(eth, (void *)(long)ctx->data_end))
			return LB_TABLE_FAULT;
	}
	copy12(eth, addresses);
	return LB_OK;
}

/* Makes room for so many bytes of outer headers of a family in front of the packet, and writes the Ethernet header. Returns
 * where they go. NULL: there is no room. */
static __always_inline void *make_room(struct xdp_md *ctx, const struct packet *p, int room, const void *macs, bool to_v6, bool keep_tags)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 tags = keep_tags ? p->tag_bytes : 0;
	__u32 tag0, tag1;

	if (at + ETH_HLEN + 8 > end)
		return NULL;
	tag0 = load32(at + 12);
	tag1 = load32(at + 16);
	if (bpf_xdp_adjust_head(ctx, (int)p->tag_bytes - (int)tags - room))
		return NULL;
	at = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (at + ETH_HLEN + 8 > end)
		return NULL;
	copy12(at, macs);
	at += 12;
	if (tags >= 4) {
		store32(at, tag0);
		at += 4;
	}
	if (tags == 8) {
		store32(at, tag1);
		at += 4;
	}
	store16(at, to_v6 ? L3_IPV6.wire : L3_IPV4.wire);
	return at + 2;
}

static __always_inline __u8 traffic_class(const struct packet *p)
{
	return p->flow.is_v6 ? bpf_ntohs(load16(p->v6)) >> 4 : p->v4->tos;
}

static __always_inline __u8 inner_protocol(const struct packet *p)
{
	return p->flow.is_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

/* Encapsulate the packet: an outer header to the replica, by the next hop with these MAC addresses. RFC 2003 and RFC 2473. */
static __always_inline enum lb_reason encapsulate_v4(struct xdp_md *ctx, const struct packet *p, const struct service *s,
						     const void *macs, __u32 own, __u32 to, bool keep_tags, __u32 hash)
{
	__u8 class = traffic_class(p), next = inner_protocol(p);
	__u32 bytes = p->ip_bytes;
	void *at = make_room(ctx, p, sizeof(struct iphdr) + s->udp_bytes, macs, false, keep_tags);

	if (!at)
		return LB_NO_HEADROOM;
	return wrap_v4(at, (void *)(long)ctx->data_end, s, own, to, bytes, class, next, hash) ? LB_OK : LB_TABLE_FAULT;
}

static __always_inline enum lb_reason encapsulate_v6(struct xdp_md *ctx, const struct packet *p, const struct service *s,
						     const void *macs, const __u8 *own, const __u8 *to, bool keep_tags, __u32 hash)
{
	__u8 class = traffic_class(p), next = inner_protocol(p);
	__u32 bytes = p->ip_bytes;
	void *at = make_room(ctx, p, sizeof(struct ipv6hdr) + s->udp_bytes, macs, true, keep_tags);

	if (!at)
		return LB_NO_HEADROOM;
	return wrap_v6(at, (void *)(long)ctx->data_end, s, own, to, bytes, class, next, hash) ? LB_OK : LB_TABLE_FAULT;
}

/* By the row of the replica, and its next hop of that number. */
static __always_inline enum lb_reason encapsulate(struct xdp_md *ctx, const struct packet *p, const struct service *s,
						  const struct replica *r, __u8 active, bool keep_tags, __u32 hash)
{
	const void *macs = r->hops[active].destination;
	const __u8 *own = r->tunnel_source[active];

	if (r->ip_version == 6)
		return encapsulate_v6(ctx, p, s, macs, own, r->address, keep_tags, hash);
	return encapsulate_v4(ctx, p, s, macs, mapped_v4(own), mapped_v4(r->address), keep_tags, hash);
}

/* Sends the frame by an interface. */
static __always_inline int leave(struct xdp_md *ctx, __u32 ifindex)
{
	int verdict = ifindex == ingress(ctx) ? XDP_TX : bpf_redirect(ifindex, 0);

	__builtin_assume(verdict >= 0);
	return verdict;
}
