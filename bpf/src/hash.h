/* Hashes of the 4-tuple: 32 bits that choose the slot. */
#pragma once

#include "parse.h"
#include "words.h"

/* Toeplitz by tables: what byte value v at position i of the input adds.
 * Filled by Go from the RSS key before loading. */
const volatile __u32 toeplitz_rows[36][256];

static __always_inline __u32 rol32(__u32 w, __u32 by)
{
	return (w << by) | (w >> (32 - by));
}

#define JHASH_INITVAL 0xdeadbeef /* include/linux/jhash.h */

static __always_inline __u32 jhash_final(__u32 a, __u32 b, __u32 c)
{
	c ^= b; c -= rol32(b, 14);
	a ^= c; a -= rol32(c, 11);
	b ^= a; b -= rol32(a, 25);
	c ^= b; c -= rol32(b, 16);
	a ^= c; a -= rol32(c, 4);
	b ^= a; b -= rol32(a, 14);
	c ^= b; c -= rol32(b, 24);
	return c;
}

static __always_inline void jhash_mix(__u32 *a, __u32 *b, __u32 *c)
{
	*a -= *c; *a ^= rol32(*c, 4);  *c += *b;
	*b -= *a; *b ^= rol32(*a, 6);  *a += *c;
	*c -= *b; *c ^= rol32(*b, 8);  *b += *a;
	*a -= *c; *a ^= rol32(*c, 16); *c += *b;
	*b -= *a; *b ^= rol32(*a, 19); *a += *c;
	*c -= *b; *c ^= rol32(*b, 4);  *b += *a;
}

/* jhash_3words(source, destination, ports, seed). */
static __always_inline __u32 jhash_v4(const struct packet *p, __u32 seed)
{
	__u32 init = JHASH_INITVAL + (3 << 2) + seed;

	return jhash_final(p->v4->saddr + init, p->v4->daddr + init, load32(p->ports) + init);
}

/* jhash2 of nine words: source, destination, ports. */
static __always_inline __u32 jhash_v6(const struct packet *p, __u32 seed)
{
	const __u32 *s = p->v6->saddr.in6_u.u6_addr32, *d = p->v6->daddr.in6_u.u6_addr32;
	__u32 a, b, c;

	a = b = c = JHASH_INITVAL + (9 << 2) + seed;
	a += s[0]; b += s[1]; c += s[2];
	jhash_mix(&a, &b, &c);
	a += s[3]; b += d[0]; c += d[1];
	jhash_mix(&a, &b, &c);
	return jhash_final(a + d[2], b + d[3], c + load32(p->ports));
}

static __always_inline __u32 toeplitz_bytes(__u32 row, const __u8 *in, __u32 bytes)
{
	__u32 h = 0;

	for (__u32 i = 0; i < bytes; i++)
		h ^= toeplitz_rows[row + i][in[i]];
	return h;
}

/* The RSS hash: source, destination, ports, in network order. */
static __always_inline __u32 toeplitz(const struct packet *p)
{
	const __u8 *ports = (const __u8 *)p->ports;

	if (p->is_v6)
		return toeplitz_bytes(0, (const __u8 *)&p->v6->saddr, 32) ^
		       toeplitz_bytes(32, ports, 4);
	return toeplitz_bytes(0, (const __u8 *)&p->v4->saddr, 8) ^ toeplitz_bytes(8, ports, 4);
}

static __always_inline __u32 hash(const struct packet *p, const struct service *s)
{
	if (s->hash == LB_HASH_TOEPLITZ)
		return toeplitz(p);
	return p->is_v6 ? jhash_v6(p, s->seed) : jhash_v4(p, s->seed);
}
