/* Changing addresses, ports, TTL and checksums of a parsed packet. */
#pragma once

#include "parse.h"
#include "words.h"

/* RFC 1624, equation 3: the delta is the sum of what comes and the complement of
 * what goes. Addends fit 16 bits each. */
static __always_inline __u16 adjust(__u16 check, __u32 delta)
{
	__u32 sum = (__u16)~check + delta;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void adjust_l4(struct packet *p, __u16 delta)
{
	__u16 check = *p->check;

	if (l4_is(p->l4, L4_TCP)) {
		*p->check = adjust(check, delta);
		return;
	}
	if (!check) /* a UDP sender that did not compute one */
		return;
	check = adjust(check, delta);
	*p->check = check ? check : 0xffff;
}

static __always_inline __u8 ttl(const struct packet *p)
{
	return p->is_v6 ? p->v6->hop_limit : p->v4->ttl;
}

static __always_inline void decrement_ttl(struct packet *p)
{
	if (p->is_v6) {
		p->v6->hop_limit--;
		return;
	}
	p->v4->ttl--;
	/* The word {ttl, protocol} lost 1 in its first byte: as a little-endian word, 1. */
	p->v4->check = adjust(p->v4->check, 0xfffe);
}

/* An IPv4 address lives in the last four bytes of its mapped form. */
static __always_inline __u32 mapped_v4(const __u8 address[16])
{
	return load32(address + 12);
}

static __always_inline void set_destination(struct packet *p, const struct replica *r)
{
	if (p->is_v6) {
		copy16(&p->v6->daddr, r->address);
	} else {
		p->v4->daddr = mapped_v4(r->address);
		p->v4->check = adjust(p->v4->check, r->l3_delta);
	}
	copy2(p->ports->destination, r->port);
	adjust_l4(p, r->l4_delta);
}

static __always_inline void set_source(struct packet *p, const struct origin *o)
{
	if (p->is_v6) {
		copy16(&p->v6->saddr, o->address);
	} else {
		p->v4->saddr = mapped_v4(o->address);
		p->v4->check = adjust(p->v4->check, o->l3_delta);
	}
	copy2(p->ports->source, o->port);
	adjust_l4(p, o->l4_delta);
}
