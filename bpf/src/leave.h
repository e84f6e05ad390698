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

/* Encapsulates the packet: an outer header to the replica, by the next hop of that number. RFC 2003 and
 * RFC 2473. */
static __always_inline enum lb_reason encapsulate(struct xdp_md *ctx, const struct packet *p, const struct service *s,
						  const struct replica *r, __u8 active, bool keep_tags,
						  __u32 hash)
{
	bool is_v6 = p->flow.is_v6, to_v6 = r->ip_version == 6;
	__u32 tags = keep_tags ? p->tag_bytes : 0, bytes = p->ip_bytes;
	__u8 next = is_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	int room = outer_bytes(s, r);
	__u8 class = is_v6 ? bpf_ntohs(load16(p->v6)) >> 4 : p->v4->tos;
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u8 *source = r->tunnel_source[active];
	__u32 tag0, tag1;

	if (at + ETH_HLEN + 8 > end)
		return LB_TABLE_FAULT;
	tag0 = load32(at + 12);
	tag1 = load32(at + 16);
	if (bpf_xdp_adjust_head(ctx, (int)p->tag_bytes - (int)tags - room))
		return LB_NO_HEADROOM;
	at = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (at + ETH_HLEN + 8 + sizeof(struct iphdr) > end)
		return LB_TABLE_FAULT;
	copy12(at, r->hops[active].destination);
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
	at += 2;
	if (unlikely(s->flags & SERVICE_SPREADS))
		return outer_by_flow(at, end, s, r, source, bytes, class, next, hash) ? LB_OK : LB_TABLE_FAULT;
	if (to_v6) {
		if (at + sizeof(struct ipv6hdr) > end)
			return LB_TABLE_FAULT;
		outer_v6(at, r, source, bytes, class, next, hash);
	} else {
		outer_v4(at, r, source, bytes, class, IPPROTO_IPIP);
	}
	return LB_OK;
}

/* Sends the frame by an interface. */
static __always_inline int leave(struct xdp_md *ctx, __u32 ifindex)
{
	return ifindex == ingress(ctx) ? XDP_TX : bpf_redirect(ifindex, 0);
}
