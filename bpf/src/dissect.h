/* The headers of packets that are not plain: tags, options, extension headers, fragments.
 *
 * dissect() has so many paths that the verifier must check it on its own, and not again for each path that
 * follows it. So it is a function that is not inlined and returns where the headers are, in one word.
 */
#pragma once

#include "headers.h"

enum part { WHOLE, FIRST, LATER };

/* How many IPv6 extension headers are skipped at most. */
#define EXTENSIONS_MAX 6

union dissection {
	__u64 word;
	struct {
		__u8 why; /* enum lb_reason plus one: 0 is LB_OK */
		__u8 tag_bytes;
		__u8 protocol;
		__u8 is_v6 : 1;
		__u8 plain : 1;
		__u8 part : 2; /* enum part */
		__u16 l4;	/* bytes from the IP header on */
		__u16 fragment; /* likewise, of IPv6's fragment header */
	};
};

/* A walk over extension headers. Offsets count from the IP header, which begins at l3. */
struct walk {
	void *l3, *end;
	__u32 at;	/* where the next header begins */
	__u32 limit;	/* where the IP packet ends */
	__u32 fragment; /* where the fragment header is, 0: nowhere */
	__u8 next;	/* what the next header is */
	enum part part;
};

static __always_inline enum lb_reason walk_fragment(struct walk *w)
{
	struct fragment_header *f = w->l3 + w->at;

	if (w->fragment)
		return LB_IPV6_EXTENSION;
	if (w->limit - w->at < sizeof(*f) || PAST_END(f, w->end))
		return LB_MALFORMED_IP;
	if (f->bits & bpf_htons(0xfff8))
		w->part = LATER;
	else if (f->bits & bpf_htons(1))
		w->part = FIRST;
	w->next = f->next;
	w->fragment = w->at;
	w->at += sizeof(*f);
	return LB_OK;
}

static __always_inline enum lb_reason walk_options(struct walk *w)
{
	__u8 *header = w->l3 + w->at;
	__u32 bytes;

	if (w->limit - w->at < 8 || (void *)(header + 8) > w->end)
		return LB_MALFORMED_IP;
	bytes = (header[1] + 1) * 8;
	if (bytes > w->limit - w->at)
		return LB_MALFORMED_IP;
	if (w->next == IPPROTO_ROUTING && header[3]) /* segments left */
		return LB_IPV6_EXTENSION;
	w->next = header[0];
	w->at += bytes;
	return LB_OK;
}

/* Skips the next header if it is an extension header; otherwise sets done: it is the protocol. */
static __always_inline enum lb_reason walk_on(struct walk *w, int headers, bool *done)
{
	switch (w->next) {
	case IPPROTO_AH:
	case IPPROTO_MH:
	case 139: /* HIP, RFC 7401 */
	case 140: /* Shim6, RFC 5533 */
		return LB_IPV6_EXTENSION;
	case IPPROTO_FRAGMENT:
		return headers < EXTENSIONS_MAX ? walk_fragment(w) : LB_IPV6_EXTENSION;
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
	case IPPROTO_ROUTING:
		return headers < EXTENSIONS_MAX ? walk_options(w) : LB_IPV6_EXTENSION;
	}
	*done = true;
	return LB_OK;
}

/* Walks over the extension headers of a packet of which `limit` bytes are there. */
static __always_inline enum lb_reason walk_v6(union dissection *d, struct ipv6hdr *ip, void *end, __u32 limit)
{
	struct walk w = { .l3 = ip, .end = end, .at = sizeof(*ip), .limit = limit, .next = ip->nexthdr };
	enum lb_reason why = LB_OK;
	bool done = false;

	for (int i = 0; i <= EXTENSIONS_MAX && !done && why == LB_OK && w.part != LATER; i++)
		why = walk_on(&w, i, &done);
	d->is_v6 = true;
	d->plain = w.at == sizeof(*ip);
	d->protocol = w.next;
	d->part = w.part;
	d->l4 = w.at;
	d->fragment = w.fragment;
	return why;
}

static __always_inline enum lb_reason dissect_v6(union dissection *d, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;
	__u32 limit;

	if (PAST_END(ip, end) || ip->version != 6)
		return LB_MALFORMED_IP;
	limit = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (limit > end - l3)
		return LB_MALFORMED_IP;
	return walk_v6(d, ip, end, limit);
}

static __always_inline enum lb_reason dissect_v4(union dissection *d, void *l3, void *end)
{
	struct iphdr *ip = l3;
	__u32 bytes;

	if (PAST_END(ip, end) || ip->version != 4 || ip->ihl < 5)
		return LB_MALFORMED_IP;
	bytes = bpf_ntohs(ip->tot_len);
	d->l4 = ip->ihl * 4;
	if (bytes < d->l4 || bytes > end - l3)
		return LB_MALFORMED_IP;
	d->plain = d->l4 == sizeof(*ip);
	d->protocol = ip->protocol;
	if (ip->frag_off & OFFSET)
		d->part = LATER;
	else if (ip->frag_off & MORE_OR_OFFSET)
		d->part = FIRST;
	return d->part != LATER || has_ports((struct l4_type){ ip->protocol }) ? LB_OK : LB_NOT_TCP_UDP;
}

static __always_inline enum lb_reason dissect_link(struct xdp_md *ctx, union dissection *d)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct tag *tag = (void *)(eth + 1);
	struct l3_type type;

	if (PAST_END(eth, end))
		return LB_MALFORMED_ETHERNET;
	type.wire = load16(&eth->h_proto);
	for (int i = 0; i < 2 && is_tag(type); i++, tag++) {
		if (PAST_END(tag, end))
			return LB_MALFORMED_ETHERNET;
		type.wire = tag->next;
		d->tag_bytes += sizeof(*tag);
	}
	if (is_tag(type))
		return LB_VLAN_TAGGED;
	if (!l3_is(type, L3_IPV4) && !l3_is(type, L3_IPV6))
		return LB_NOT_IP;
	if (is_group(eth))
		return LB_OTHER_MAC;
	return l3_is(type, L3_IPV4) ? dissect_v4(d, tag, end) : dissect_v6(d, tag, end);
}

/* A union dissection. */
__noinline __u64 dissect(struct xdp_md *ctx)
{
	union dissection d = {};

	d.why = dissect_link(ctx, &d) + 1;
	return d.word;
}

/* A union dissection of an IPv6 packet that an ICMP error quotes: `bytes` of it, at an offset in the frame. Its
 * length field is of the whole packet and not looked at. */
__noinline __u64 dissect_quote(struct xdp_md *ctx, __u32 at, __u32 bytes)
{
	void *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = (void *)(long)ctx->data + (at & 0x1fff);
	union dissection d = { .why = LB_MALFORMED_IP + 1 };

	if (at <= 0x1fff && bytes >= sizeof(*ip) && !PAST_END(ip, end) && ip->version == 6)
		d.why = walk_v6(&d, ip, end, bytes) + 1;
	return d.word;
}
