/* Rewriting addresses, ports, TTL and checksums of a parsed packet. */
#pragma once

#include "fragments.h"

/* RFC 1624, equation 3: the delta is the sum of the new words and of the complements of the old
 * ones. */
static __always_inline __u16 adjust(__u16 check, __u32 delta)
{
	return ~fold((__u16)~check + delta);
}

static __always_inline __u16 adjust_udp(__u16 check, __u32 delta)
{
	if (!check) /* a sender that did not compute one */
		return 0;
	check = adjust(check, delta);
	return check ? check : 0xffff;
}

static __always_inline void adjust_l4(struct packet *p, __u32 delta)
{
	if (likely(l4_is(p->flow.l4, L4_TCP)))
		*p->check = adjust(*p->check, delta);
	else
		*p->check = adjust_udp(*p->check, delta);
}

static __always_inline __u8 ttl(const struct packet *p)
{
	return p->flow.is_v6 ? p->v6->hop_limit : p->v4->ttl;
}

/* The word {ttl, protocol} loses 1 in its first byte: as a little-endian word, 1. */
#define TTL_DELTA 0xfffe

/* After a change of an address by that delta. `onward`: the packet is a router further, too, so that IPv4 needs one sum for
 * both; a constant at each call. */
static __always_inline void adjust_l3(struct packet *p, __u32 delta, bool onward)
{
	if (p->flow.is_v6) {
		p->v6->hop_limit -= onward;
		return;
	}
	p->v4->ttl -= onward;
	p->v4->check = adjust(p->v4->check, delta + (onward ? TTL_DELTA : 0));
}

static __always_inline void decrement_ttl(struct packet *p)
{
	adjust_l3(p, 0, true);
}

static __always_inline void set_destination(struct packet *p, const struct replica *r, bool onward)
{
	if (p->flow.is_v6)
		copy16(&p->v6->daddr, r->address);
	else
		p->v4->daddr = mapped_v4(r->address);
	adjust_l3(p, r->l3_delta, onward);
	if (unlikely(p->part == LATER))
		return;
	copy2(p->l4 + 2, r->port);
	adjust_l4(p, r->l4_delta);
	if (unlikely(p->part == FIRST))
		remember_rewritten(p);
}

/* What a change of an IPv4 address adds to a checksum's complement, of at most 18 bits. */
static __always_inline __u32 address_delta(__u32 was, __u64 is)
{
	__u64 words = (__u32)~was + low32(is);

	return (words & 0xffff) + (words >> 16);
}

/* The same for a whole packet of IPv4 that goes on from here, without the deltas of the row and with headers at places that are
 * known. */
static __always_inline void set_destination_v4(struct packet *p, __u64 address, __u16 port)
{
	__u32 delta = address_delta(p->v4->daddr, address);

	p->v4->daddr = address;
	adjust_l3(p, delta, true);
	delta += port + (__u16)~load16(p->l4 + 2);
	store16(p->l4 + 2, port);
	if (likely(p->is_tcp))
		store16(p->l4 + 16, adjust(load16(p->l4 + 16), delta));
	else
		store16(p->l4 + 6, adjust_udp(load16(p->l4 + 6), delta));
}

static __always_inline void set_source(struct packet *p, const struct rev_nat *n, bool onward)
{
	if (p->flow.is_v6)
		copy16(&p->v6->saddr, n->address);
	else
		p->v4->saddr = mapped_v4(n->address);
	adjust_l3(p, n->l3_delta, onward);
	if (unlikely(p->part == LATER))
		return;
	copy2(p->l4, n->port);
	adjust_l4(p, n->l4_delta);
	if (unlikely(p->part == FIRST))
		remember_rewritten(p);
}
