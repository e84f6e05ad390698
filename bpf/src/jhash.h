/* The hash of the 4-tuple that is the kernel's jhash. */
#pragma once

#include "parse.h"

/* A word of 32 bits rotated to the left, as the halves of one of 64 bits: to add them to another word, one by one, takes an instruction
 * less than to put them together first. The barriers keep the compiler from that. */
static __always_inline __u64 rotated(__u32 y, __u32 by)
{
	__u64 halves = (__u64)y << by;

	asm("" : "+r"(halves));
	return halves;
}

static __always_inline __u32 xor_halves(__u32 x, __u64 halves)
{
	x ^= (__u32)halves;
	asm("" : "+r"(x));
	return x ^ (__u32)(halves >> 32);
}

/* One step of the end: y with x, less y rotated. */
static __always_inline __u32 jhash_step(__u32 x, __u32 y, __u32 by)
{
	__u64 halves = rotated(y, by);

	x ^= y;
	asm("" : "+r"(x));
	x -= (__u32)halves;
	asm("" : "+r"(x));
	return x - (__u32)(halves >> 32);
}

#define JHASH_INITVAL 0xdeadbeef /* include/linux/jhash.h */

static __always_inline __u32 jhash_final(__u32 a, __u32 b, __u32 c)
{
	c = jhash_step(c, b, 14);
	a = jhash_step(a, c, 11);
	b = jhash_step(b, a, 25);
	c = jhash_step(c, b, 16);
	a = jhash_step(a, c, 4);
	b = jhash_step(b, a, 14);
	return jhash_step(c, b, 24);
}

static __always_inline void jhash_mix(__u32 *a, __u32 *b, __u32 *c)
{
	*a -= *c; *a = xor_halves(*a, rotated(*c, 4));  *c += *b;
	*b -= *a; *b = xor_halves(*b, rotated(*a, 6));  *a += *c;
	*c -= *b; *c = xor_halves(*c, rotated(*b, 8));  *b += *a;
	*a -= *c; *a = xor_halves(*a, rotated(*c, 16)); *c += *b;
	*b -= *a; *b = xor_halves(*b, rotated(*a, 19)); *a += *c;
	*c -= *b; *c = xor_halves(*c, rotated(*b, 4));  *b += *a;
}

/* jhash_3words(source, destination, ports, seed). */
static __always_inline __u32 jhash_v4(const struct tuple *f, __u32 seed)
{
	__u32 init = JHASH_INITVAL + (3 << 2) + seed;

	return jhash_final(load32(f->source) + init, load32(f->destination) + init,
			   f->ports + init);
}

/* jhash2 of nine words: source, destination, ports. */
static __always_inline __u32 jhash_v6(const struct tuple *f, __u32 seed)
{
	const __u32 *s = f->source, *d = f->destination;
	__u32 a, b, c;

	a = b = c = JHASH_INITVAL + (9 << 2) + seed;
	a += s[0]; b += s[1]; c += s[2];
	jhash_mix(&a, &b, &c);
	a += s[3]; b += d[0]; c += d[1];
	jhash_mix(&a, &b, &c);
	return jhash_final(a + d[2], b + d[3], c + f->ports);
}
