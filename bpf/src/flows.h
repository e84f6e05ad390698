/* Records of flows: which replica a flow is with.
 *
 * A record is one word in one cache line that the flow's key names, so that looking for it is
 * one load and writing it one compare and exchange. A word holds no whole flow: 32
 * bits of the service's hash and 8 of the key, beside those of the key that choose the
 * line. Two flows of one line are mistaken for each other with a probability of 2^-40, and
 * whoever does not know the secret cannot choose them.
 *
 * Nothing here takes pointers, so that the verifier looks at each function once.
 */
#pragma once

#include "maps.h"
#include "gate.h"
#include "parse.h"

/* Set by Go: from `settings`, and the numbers of lines, powers of two, less one. */
const volatile __u64 secret[4];
const volatile __u32 flow_lines_last, embryo_lines_last;

enum table { FLOWS, EMBRYOS };

#define RECORD_TAG (~0ULL << (AGE_SHIFT + 4))
#define RECORD_AGE ((__u64)AGE)

/* New flows are refused some ways of a line of `flows` but at a limited rate. */
#define WAYS_FREE 3

static __always_inline __u64 stir(__u64 h, __u64 word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

/* The key of a flow. Go computes the same in lb/datapath. Its low bits choose the line, its 8
 * highest are in the record. Every word is stirred in behind one of the secret, which
 * decides where two flows would meet. */
static __always_inline __u64 key_of(const struct tuple *f)
{
	__u64 rest = f->ports | (__u64)f->l4.wire << 32 | (f->is_v6 ? 6ULL << 40 : 4ULL << 40);
	__u64 h = secret[0];

	if (f->is_v6) {
		h = stir(h, load64(f->source));
		h = stir(h + secret[1], load64(f->source + 8));
		h = stir(h + secret[2], load64(f->destination));
		h = stir(h + secret[3], load64(f->destination + 8));
	} else {
		h = stir(h, load32(f->source) | (__u64)load32(f->destination) << 32);
		h = stir(h + secret[1], secret[2]);
	}
	h = stir(h + secret[3], rest);
	return stir(h, secret[1]);
}

static __always_inline __u64 tag_of(__u64 key, __u32 hash)
{
	return (__u64)hash << 32 | key >> 56 << 24;
}

static __always_inline __u32 replica_of(__u64 record)
{
	return record & REPLICA_ID;
}

static __always_inline struct records *line(enum table t, __u64 key)
{
	__u32 at = (__u32)key & (t == FLOWS ? flow_lines_last : embryo_lines_last);

	return t == FLOWS ? bpf_map_lookup_elem(&flows, &at) : bpf_map_lookup_elem(&embryos, &at);
}

static __always_inline __u64 read_record(const __u64 *way)
{
	return *(const volatile __u64 *)way;
}

static __always_inline bool swap_record(__u64 *way, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(way, old, new) == old;
}

static __always_inline bool has_tag(__u64 record, __u64 tag)
{
	return (record & RECORD_TAG) == tag && record;
}

/* The record with a tag; 0 if there is none. */
__noinline __u64 recall(enum table t, __u64 key, __u64 tag)
{
	struct records *r = line(t, key);

	for (int i = 0; r && i < WAYS; i++) {
		__u64 record = read_record(&r->way[i]);

		if (has_tag(record, tag))
			return record;
	}
	return 0;
}

/* Puts another record, or 0 for none, in the place of one. */
__noinline int replace(enum table t, __u64 key, __u64 old, __u64 new)
{
	struct records *r = line(t, key);

	for (int i = 0; r && i < WAYS; i++)
		if (read_record(&r->way[i]) == old)
			return swap_record(&r->way[i], old, new);
	return 0;
}

/* Writes a record into a free way, of its group's if it can; a group may take the last ones at a limited rate. */
__noinline int add_record(enum table t, __u64 key, __u64 record, __u32 group)
{
	struct records *r = line(t, key);
	int free = 0;

	if (!r)
		return 0;
	for (int i = 0; i < WAYS; i++)
		free += !read_record(&r->way[i]);
	if (t == FLOWS && free && free <= WAYS_FREE && !admits(group & 3))
		return 0;
	for (int i = 0; free && i < WAYS; i++) {
		__u64 *way = &r->way[(group * 2 + i) % WAYS];

		if (!read_record(way) && swap_record(way, 0, record))
			return 1;
	}
	return 0;
}

/* Writes a record of a flow that starts over the older one of the two ways of its group: who
 * floods one service cannot make those of three in four others forgotten. */
__noinline int push_out(__u64 key, __u64 record, __u32 group)
{
	struct records *r = line(EMBRYOS, key);
	__u32 way = (group & 3) * 2;
	__u64 a, b;

	if (!r)
		return 0;
	a = read_record(&r->way[way]);
	b = read_record(&r->way[way + 1]);
	if ((a & RECORD_AGE) == (b & RECORD_AGE) ? key >> 32 & 1 : (a & RECORD_AGE) < (b & RECORD_AGE))
		return swap_record(&r->way[way + 1], b, record);
	return swap_record(&r->way[way], a, record);
}

/* Makes a flow that was seen young again, which is a store every so often. */
static __always_inline void refresh(enum table t, __u64 key, __u64 record)
{
	if (record & RECORD_AGE)
		replace(t, key, record, record & ~RECORD_AGE);
}

/* Records a flow that starts, over what is recorded of it. */
__noinline int remember(__u64 key, __u64 tag, __u32 replica, __u32 group)
{
	__u64 old = recall(FLOWS, key, tag);

	if (old)
		replace(FLOWS, key, old, 0);
	old = recall(EMBRYOS, key, tag);
	if (old)
		return replace(EMBRYOS, key, old, tag | replica);
	return add_record(EMBRYOS, key, tag | replica, group) || push_out(key, tag | replica, group);
}

/* Moves the record of a flow that goes on to where those that start cannot push it out. */
__noinline int promote(__u64 key, __u64 record, __u32 group)
{
	__u64 old = recall(FLOWS, key, record & RECORD_TAG), new = record & ~RECORD_AGE;

	if (old ? replace(FLOWS, key, old, new) : add_record(FLOWS, key, new, group))
		return replace(EMBRYOS, key, record, 0);
	refresh(EMBRYOS, key, record);
	return 0;
}
