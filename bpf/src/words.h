/* Loads and copies by words. Headers in a frame are not aligned to their words and
 * the compiler would go byte by byte; the machines we run on load unaligned words as fast.
 * They are little-endian, too: bpf2go builds for no others. */
#pragma once

#include <linux/types.h>

static __always_inline __u32 load32(const void *from)
{
	return *(const __u32 *)from;
}

static __always_inline __u16 load16(const void *from)
{
	return *(const __u16 *)from;
}

static __always_inline __u64 load64(const void *from)
{
	return *(const __u64 *)from;
}

static __always_inline void copy2(void *to, const void *from)
{
	*(__u16 *)to = *(const __u16 *)from;
}

static __always_inline void copy12(void *to, const void *from)
{
	*(__u64 *)to = *(const __u64 *)from;
	*(__u32 *)(to + 8) = *(const __u32 *)(from + 8);
}

static __always_inline void copy16(void *to, const void *from)
{
	*(__u64 *)to = *(const __u64 *)from;
	*(__u64 *)(to + 8) = *(const __u64 *)(from + 8);
}
