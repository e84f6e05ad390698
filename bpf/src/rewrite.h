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

static __always_inline void adjust_l4(struct packet *p, __u16 delta)
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

static __always_inline void decrement_ttl(struct packet *p)
{
	if (p->flow.is_v6) {
		p->v6->hop_limit--;
		return;
	}
	p->v4->ttl--;
	p->v4->check = adjust(p->v4->check, TTL_DELTA);
}

static __always_inline void set_destination(struct packet *p, const struct replica *r)
{
	if (p->flow.is_v6) {
		copy16(&p->v6->daddr, r->address);
	} else {
		p->v4->daddr = mapped_v4(r->address);
		p->v4->check = adjust(p->v4->check, r->l3_delta);
	}
	if (unlikely(p->part == LATER))
		return;
	copy2(p->l4 + 2, r->port);
	adjust_l4(p, r->l4_delta);
	if (unlikely(p->part == FIRST))
		remember_rewritten(p);
}

static __always_inline void set_source(struct packet *p, const struct rev_nat *n)
{
	if (p->flow.is_v6) {
		copy16(&p->v6->saddr, n->address);
	} else {
		p->v4->saddr = mapped_v4(n->address);
		p->v4->check = adjust(p->v4->check, n->l3_delta);
	}
	if (unlikely(p->part == LATER))
		return;
	copy2(p->l4, n->port);
	adjust_l4(p, n->l4_delta);
	if (unlikely(p->part == FIRST))
		remember_rewritten(p);
}

/* A router further, with a changed address: one sum for both. */
static __always_inline void pass_on(struct packet *p, __u16 l3_delta)
{
	if (p->flow.is_v6) {
		p->v6->hop_limit--;
		return;
	}
	p->v4->ttl--;
	p->v4->check = adjust(p->v4->check, l3_delta + TTL_DELTA);
}

/* As set_destination and decrement_ttl, of a whole packet. */
static __always_inline void forward_to(struct packet *p, const struct replica *r)
{
	if (p->flow.is_v6)
		copy16(&p->v6->daddr, r->address);
	else
		p->v4->daddr = mapped_v4(r->address);
	pass_on(p, r->l3_delta);
	copy2(p->l4 + 2, r->port);
	adjust_l4(p, r->l4_delta);
}

/* As set_source and decrement_ttl, of a whole packet. */
static __always_inline void return_from(struct packet *p, const struct rev_nat *n)
{
	if (p->flow.is_v6)
		copy16(&p->v6->saddr, n->address);
	else
		p->v4->saddr = mapped_v4(n->address);
	pass_on(p, n->l3_delta);
	copy2(p->l4, n->port);
	adjust_l4(p, n->l4_delta);
}
