/* Records of flows: which replica a flow is with.
 *
 * The flow's key chooses a cache line, a record is one word in it: looking for it takes one load, writing
 * it one compare and exchange. The word does not hold the whole flow, but 32 bits of the service's
 * hash and 6 of the key; other bits of the key have chosen the line. Two flows of one line are mistaken
 * for each other with a probability of 2^-38. Without the secret nobody can choose two such flows.
 *
 * Functions that are not inlined take no pointers, so that the verifier checks each of them once.
 */
#pragma once

#include "maps.h"
#include "token_bucket.h"
#include "parse.h"
#include "find.h"
#include "hash.h"

enum table { ESTABLISHED, HALF_OPEN };

#define RECORD_TAG (~0ULL << (CLOSED_SHIFT + 2))
#define RECORD_AGE ((__u64)AGE)

/* lb.StartingSteps: up to this age a SYN to a replica that drains is one sent again. */
#define STARTING_STEPS 7

/* A flow has ended when both ends have closed it. */
#define CLOSED_BY_CLIENT (1ULL << CLOSED_SHIFT)
#define CLOSED_BY_REPLICA (2ULL << CLOSED_SHIFT)
#define ENDED (CLOSED_BY_CLIENT | CLOSED_BY_REPLICA)

/* The last entries of a line of `established`: they are given out at a limited rate. */
#define ENTRIES_RESERVED 3

static __always_inline __u64 tag_of(__u64 key, __u32 hash)
{
	return (__u64)hash << 32 | key >> 58 << (CLOSED_SHIFT + 2);
}

/* In steps of the idle time. */
static __always_inline __u32 age_of(__u64 record)
{
	return (record & RECORD_AGE) >> AGE_SHIFT;
}

static __always_inline __u32 replica_of(__u64 record)
{
	return record & REPLICA_ID;
}

static __always_inline struct replica *replica_at(__u32 id)
{
	return bpf_map_lookup_elem(&replicas, &id);
}

/* The state of a replica. GONE: its service has it no more, and records of it may be left. Most are told by their words. */
static __always_inline enum replica_state state_of(__u32 id)
{
	struct short_replica *word = ROW(short_replicas, id, REPLICAS_LAST);
	struct replica *r;

	if (likely(word && *(volatile __u16 *)&word->hop))
		return REPLICA_ACTIVE;
	r = replica_at(id);
	return r ? r->state : REPLICA_GONE;
}

static __always_inline bool serves(enum replica_state s)
{
	return s == REPLICA_ACTIVE || s == REPLICA_DRAINING;
}

static __always_inline struct records *line(enum table t, __u64 key)
{
	return t == ESTABLISHED ? ROWS(established) + MASKED(key, ESTABLISHED_LAST) : ROWS(half_open) + MASKED(key, HALF_OPEN_LAST);
}

static __always_inline __u64 read_record(const __u64 *entry)
{
	return *(const volatile __u64 *)entry;
}

static __always_inline bool swap_record(__u64 *entry, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(entry, old, new) == old;
}

static __always_inline bool has_tag(__u64 record, __u64 tag)
{
	return (record & RECORD_TAG) == tag && record;
}

/* Returns the record with a tag; 0 if there is none. */
static __always_inline __u64 find_record(enum table t, __u64 key, __u64 tag)
{
	struct records *r = line(t, key);

	for (int i = 0; r && i < RECORD_ENTRIES; i++) {
		__u64 record = read_record(&r->entry[i]);

		if (has_tag(record, tag))
			return record;
	}
	return 0;
}

/* Replaces a record by another one, or by 0 for none. */
__noinline int replace_record(enum table t, __u64 key, __u64 old, __u64 new)
{
	struct records *r = line(t, key);

	for (int i = 0; r && i < RECORD_ENTRIES; i++)
		if (read_record(&r->entry[i]) == old)
			return swap_record(&r->entry[i], old, new);
	return 0;
}

/* Writes a record into a free entry, preferably one of its group. The last free entries of
 * `established` take a token of the group. */
__noinline int add_record(enum table t, __u64 key, __u64 record, __u32 group)
{
	struct records *r = line(t, key);
	int free = 0;

	if (!r)
		return 0;
#pragma clang loop unroll(disable) /* which would take more stack */
	for (int i = 0; i < RECORD_ENTRIES; i++)
		free += !read_record(&r->entry[i]);
	if (t == ESTABLISHED && free && free <= ENTRIES_RESERVED && !take_token(group & 3))
		return 0;
	for (int i = 0; free && i < RECORD_ENTRIES; i++) {
		__u64 *entry = &r->entry[(group * 2 + i) % RECORD_ENTRIES];

		if (!read_record(entry) && swap_record(entry, 0, record))
			return 1;
	}
	return 0;
}

/* Evicts the older of the two half-open flows in the entries of a group, for the sake of a new
 * one. A flood to one service can evict flows only of the services of its group, one in four. */
__noinline int evict(__u64 key, __u64 record, __u32 group)
{
	struct records *r = line(HALF_OPEN, key);
	__u32 first = (group & 3) * 2;
	__u64 a, b;

	if (!r)
		return 0;
	a = read_record(&r->entry[first]);
	b = read_record(&r->entry[first + 1]);
	if ((a & RECORD_AGE) == (b & RECORD_AGE) ? key >> 32 & 1 : (a & RECORD_AGE) < (b & RECORD_AGE))
		return swap_record(&r->entry[first + 1], b, record);
	return swap_record(&r->entry[first], a, record);
}

/* What a record becomes when a packet of its client was seen: of age 0, and closed if the packet
 * closes the flow. A FIN closes one side; where answers do not come by here, it has to stand for both.
 * Data tells that the flow goes on after all. */
static __always_inline __u64 seen_record(__u64 record, __u16 tcp, bool has_data, __u8 mode)
{
	record &= ~RECORD_AGE;
	if (unlikely(tcp & (TCP_FIN | TCP_RST)))
		return record | (mode == LB_MODE_NAT && !(tcp & TCP_RST) ? CLOSED_BY_CLIENT : ENDED);
	if (unlikely(record & ENDED) && has_data)
		return record & ~ENDED;
	return record;
}

/* Of a half-open record: the flow goes on. Its replica cannot have closed it before, and was only said to have. */
static __always_inline __u64 opened_record(__u64 record)
{
	return (record & ENDED) == CLOSED_BY_REPLICA ? record & ~ENDED : record;
}

static __always_inline bool has_ended(__u64 record)
{
	return (record & ENDED) == ENDED;
}

/* Changes a record into what it becomes. Mostly that is the same, and nothing is stored. */
static __always_inline void update_record(enum table t, __u64 key, __u64 old, __u64 new)
{
	if (old != new)
		replace_record(t, key, old, new);
}

/* Records a flow that starts, as half-open. It has no record yet. */
__noinline int record_new(__u64 key, __u64 record, __u32 group)
{
	return add_record(HALF_OPEN, key, record, group) || evict(key, record, group);
}

/* Records a flow that starts, as half-open and instead of any earlier record of it. */
__noinline int record_start(__u64 key, __u64 record, __u32 group)
{
	__u64 old = find_record(ESTABLISHED, key, record & RECORD_TAG);

	if (old)
		replace_record(ESTABLISHED, key, old, 0);
	old = find_record(HALF_OPEN, key, record & RECORD_TAG);
	if (old)
		return replace_record(HALF_OPEN, key, old, record);
	return add_record(HALF_OPEN, key, record, group) || evict(key, record, group);
}

/* Moves the record of a flow that goes on to `established`, where no flow that starts can evict
 * it. */
__noinline int promote(__u64 key, __u64 record, __u64 new, __u32 group)
{
	__u64 old = find_record(ESTABLISHED, key, record & RECORD_TAG);

	if (old ? replace_record(ESTABLISHED, key, old, new) : add_record(ESTABLISHED, key, new, group))
		return replace_record(HALF_OPEN, key, record, 0);
	update_record(HALF_OPEN, key, record, new);
	return 0;
}
