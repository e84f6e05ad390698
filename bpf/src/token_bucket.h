/* Token buckets: each limits, on each CPU, how often something is done. */
#pragma once

#include "maps.h"

/* Tokens that a bucket gets a second, and that it holds at most; 0: no limit. Set by Go. */
const volatile __u32 token_rate;

/* Buckets 0 to 3 are for records of flows, by service id modulo four. */
#define BUCKET_TOO_BIG 4

static __always_inline bool take_token_of(struct token_bucket *b)
{
	__u64 now, earned;

	if (!token_rate)
		return true;
	if (!b)
		return false;
	now = bpf_ktime_get_ns();
	earned = (now - b->filled_at) / (1000000000ULL / token_rate);
	if (earned) {
		b->tokens = earned > token_rate - b->tokens ? token_rate : b->tokens + earned;
		b->filled_at = now;
	}
	if (!b->tokens)
		return false;
	b->tokens--;
	return true;
}

static __always_inline bool take_token(__u32 index)
{
	return take_token_of(bpf_map_lookup_elem(&token_buckets, &index));
}
