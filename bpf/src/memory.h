/* Loads, stores and copies by words. Headers in a frame are not aligned, so the compiler would
 * go byte by byte; the machines that this runs on load unaligned words as fast. They are
 * little-endian: bpf2go builds for no others. */
#pragma once

#include <linux/types.h>

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

static __always_inline __u16 load16(const void *from)
{
	return *(const __u16 *)from;
}

static __always_inline __u32 load32(const void *from)
{
	return *(const __u32 *)from;
}

static __always_inline __u64 load64(const void *from)
{
	return *(const __u64 *)from;
}

static __always_inline void store16(void *to, __u16 word)
{
	*(__u16 *)to = word;
}

static __always_inline void store32(void *to, __u32 word)
{
	*(__u32 *)to = word;
}

static __always_inline void store64(void *to, __u64 word)
{
	*(__u64 *)to = word;
}

static __always_inline void copy2(void *to, const void *from)
{
	store16(to, load16(from));
}

static __always_inline void copy12(void *to, const void *from)
{
	store64(to, load64(from));
	store32(to + 8, load32(from + 8));
}

static __always_inline void copy16(void *to, const void *from)
{
	store64(to, load64(from));
	store64(to + 8, load64(from + 8));
}

static __always_inline _Bool equal16(const void *a, const void *b)
{
	return load64(a) == load64(b) && load64(a + 8) == load64(b + 8);
}

/* The distance between two places in a frame, by 64 bits: the verifier takes no other arithmetic with pointers. */
static __always_inline __u32 distance(const void *from, const void *to)
{
	__u64 bytes = to - from;

	asm volatile("" : "+r"(bytes));
	return bytes;
}

/* The same condition, on two paths of the program: on each the verifier knows it from here on. That of Linux 6.1 does not
 * learn a value from a comparison with != alone, and would mix what was checked for one family with the other. */
static __always_inline bool decided(bool condition)
{
	__u64 known;

	if (condition)
		asm volatile("%0 = 1" : "=r"(known));
	else
		asm volatile("%0 = 0" : "=r"(known));
	return known;
}

/* The lower half of a word, by one instruction: the compiler takes two. */
static __always_inline __u64 low32(__u64 word)
{
	__u32 low;

	asm("%0 = %1" : "=w"(low) : "w"((__u32)word));
	return low;
}

/* Reduces a sum of 16-bit words to 16 bits, in ones' complement arithmetic: adds to the lower half the upper one, and what both carry. */
static __always_inline __u16 fold(__u32 sum)
{
	__u64 carried = sum + (__u64)(sum >> 16);

	return sum + (carried >> 16);
}

/* The last 8 bytes of ::ffff:a.b.c.d, of an IPv4 address as in a header. */
static __always_inline __u64 mapped_low(__u32 v4)
{
	return (__u64)v4 << 32 | 0xffff0000;
}

/* The IPv4 address in ::ffff:a.b.c.d. */
static __always_inline __u32 mapped_v4(const __u8 address[16])
{
	return load32(address + 12);
}

/* An address as it is in tables: IPv4 mapped. */
static __always_inline void map_address(__u8 to[16], const void *from, bool is_v6)
{
	if (is_v6) {
		copy16(to, from);
		return;
	}
	store64(to, 0);
	store64(to + 8, mapped_low(load32(from)));
}
