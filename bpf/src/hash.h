/* Hashes of the 4-tuple: 32 bits, which choose the slot; and 64 bits that no sender can foresee, the key of a flow. */
#pragma once

#include "jhash.h"

/* That in `settings`, set by Go. */
const volatile __u64 secret[4];

/* Toeplitz by tables: what a byte of value v at position i of the input adds to the hash. Go
 * fills them from the RSS key before loading. */
const volatile __u32 toeplitz_rows[36][256];

/* What a word of the input adds, whose first byte is at that position. */
static __always_inline __u32 toeplitz_word(__u32 at, __u32 word)
{
	return toeplitz_rows[at][word & 0xff] ^ toeplitz_rows[at + 1][word >> 8 & 0xff] ^
	       toeplitz_rows[at + 2][word >> 16 & 0xff] ^ toeplitz_rows[at + 3][word >> 24];
}

/* The RSS hash: source, destination, ports, in network order. Not inlined, and so without pointers: the verifier checks it
 * once. */
__noinline __u32 toeplitz_v4(__u32 source, __u32 destination, __u32 ports)
{
	return toeplitz_word(0, source) ^ toeplitz_word(4, destination) ^ toeplitz_word(8, ports);
}

/* One after the other: else the compiler puts all 36 bytes on the stack first. */
static __always_inline __u32 toeplitz_two(__u32 h, __u32 at, __u64 words)
{
	asm volatile("" : "+r"(h), "+r"(words));
	return h ^ toeplitz_word(at, words) ^ toeplitz_word(at + 4, words >> 32);
}

__noinline __u32 toeplitz_v6(__u64 s0, __u64 s1, __u64 d0, __u64 d1, __u32 ports)
{
	__u32 h = toeplitz_word(32, ports);

	h = toeplitz_two(h, 0, s0);
	h = toeplitz_two(h, 8, s1);
	h = toeplitz_two(h, 16, d0);
	return toeplitz_two(h, 24, d1);
}

static __always_inline __u32 toeplitz(const struct tuple *f)
{
	const void *s = f->source, *d = f->destination;

	return f->is_v6 ? toeplitz_v6(load64(s), load64(s + 8), load64(d), load64(d + 8), f->ports) :
			  toeplitz_v4(load32(s), load32(d), f->ports);
}

static __always_inline __u32 hash(const struct tuple *f, enum lb_hash function, __u32 seed)
{
	if (function == LB_HASH_TOEPLITZ)
		return toeplitz(f);
	return f->is_v6 ? jhash_v6(f, seed) : jhash_v4(f, seed);
}

/* h mod size without a division. The reciprocal is less than one too small and h less than 2^32,
 * so the quotient is at most one too small. */
static __always_inline __u32 remainder(__u32 h, __u32 size, __u32 reciprocal)
{
	__u32 quotient = (__u64)h * reciprocal >> 32;
	__u32 rest = h - quotient * size;

	return rest >= size ? rest - size : rest;
}

static __always_inline __u64 mix(__u64 h, __u64 word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

/* The key of a flow, which chooses a line of a table; FlowKey of bpf/wire.go computes the same. Before each word of the flow
 * a word of the secret is added, so that only somebody who knows it can tell which flows collide. */
static __always_inline __u64 key_of_rest(const struct tuple *f, __u64 rest)
{
	__u64 h = secret[0];

	rest |= f->ports | (__u64)f->l4.wire << 32 | (f->is_v6 ? 6ULL << 40 : 4ULL << 40);
	if (f->is_v6) {
		h = mix(h, load64(f->source));
		h = mix(h + secret[1], load64(f->source + 8));
		h = mix(h + secret[2], load64(f->destination));
		h = mix(h + secret[3], load64(f->destination + 8));
	} else {
		h = mix(h, load32(f->source) | (__u64)load32(f->destination) << 32);
		h = mix(h + secret[1], secret[2]);
	}
	h = mix(h + secret[3], rest);
	return mix(h, secret[1]);
}

static __always_inline __u64 key_of(const struct tuple *f)
{
	return key_of_rest(f, 0);
}

/* The same of a flow to a service with this first port. A port may go from one service to another, and the records of flows to
 * it must not: so the key says by how much the port is not the first. */
static __always_inline __u64 key_to(const struct tuple *f, const __u8 first[2])
{
	return key_of_rest(f, (__u64)(__u16)(f->ports >> 16 ^ load16(first)) << 48);
}
