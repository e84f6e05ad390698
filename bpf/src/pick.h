/* Which replica a flow goes to. The package comment of lb/oracle has the rule and why it holds. */
#pragma once

#include "maps.h"
#include "nat_flow.h"
#include "limits.h"

/* What pick_by_record must know of a packet and its slot, in a word. */
union pick_facts {
	__u64 word;
	struct {
		__u32 previous_slot; /* the row of `slots` with the previous owner, plus one; 0: there is none */
		__u16 tcp;	     /* data offset and flags */
		__u8 group : 2;	     /* of the service's records */
		__u8 mode : 2;
		__u8 is_tcp : 1; /* of the flow: what is only about it has no flags */
		__u8 has_data : 1;
		__u8 always : 1; /* the service records every flow */
		__u8 zero;
	};
};

/* The two words of a slot as one. */
#define NO_OWNERS (REPLICA_NONE | (__u64)REPLICA_NONE << 32)
#define IN_TRANSITION ((__u64)SLOT_IN_TRANSITION << 32)

/* Resets the age of a previous owner: a flow without a record still goes there. */
static __always_inline void reset_previous_age(__u32 row)
{
	struct slot *slot = bpf_map_lookup_elem(&slots, &row);
	__u32 previous;

	if (!slot)
		return;
	previous = *(volatile __u32 *)&slot->previous;
	if (previous & AGE)
		__sync_val_compare_and_swap(&slot->previous, previous, previous & ~AGE);
}

/* Reads the previous owner from the previous table of a service, and returns the slot's words with it. */
static __always_inline __u64 read_previous_table(const struct service *s, __u32 hash, __u64 owners, union pick_facts *f)
{
	struct slot *slot;
	__u32 index;

	f->previous_slot = 0;
	if (!s->previous_size)
		return owners;
	index = s->previous_offset + hash % s->previous_size;
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot)
		return owners;
	f->previous_slot = index + 1;
	return (__u32)owners | IN_TRANSITION | (__u64)(*(volatile __u32 *)&slot->previous & REPLICA_ID) << 32;
}

struct choice {
	enum replica_state state;
	__u32 id;
};

static __always_inline bool choose(struct choice *c, __u32 id)
{
	c->id = id;
	c->state = state_of(id);
	return serves(c->state);
}

/* With the id of a replica: the flow begins there; and it has no record yet, not even of an earlier one. */
#define BEGINS (1 << REPLICA_BITS)
#define UNRECORDED (2 << REPLICA_BITS)

/* Picks for a flow that has a record or may need one, of a slot with these owners. Returns the replica's id, with BEGINS and
 * maybe UNRECORDED if the flow is to be recorded, or -1 if there is none. Where every flow is recorded, so is one of TCP that is first seen in
 * its middle. A SYN starts a flow anew if the recorded one has ended, or if it is with a replica that drains and does not
 * start itself. With `records` false nothing is written: the packet is only about the flow. */
static __always_inline int pick_by_record(__u64 key, __u64 tag, __u64 owners, union pick_facts f, bool records)
{
	bool syn = (f.tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	__u32 owner = (__u32)owners & REPLICA_ID;
	__u64 record = find_record(ESTABLISHED, key, tag), seen;
	__u32 begins = record ? BEGINS : BEGINS | UNRECORDED;
	bool recorded = false;
	struct choice c = {};

	if (record && choose(&c, replica_of(record)) &&
	    !(syn && (has_ended(record) || c.state == REPLICA_DRAINING))) {
		if (records)
			update_record(ESTABLISHED, key, record, seen_record(record, f.tcp, f.has_data, f.mode));
		return c.id;
	}
	recorded |= record && c.state != REPLICA_GONE;
	record = find_record(HALF_OPEN, key, tag);
	if (record)
		begins = BEGINS;
	if (record && choose(&c, replica_of(record)) &&
	    !(syn && (has_ended(record) ||
		      (c.state == REPLICA_DRAINING &&
		       (record & ENDED || age_of(record) >= STARTING_STEPS))))) {
		seen = seen_record(syn ? record : opened_record(record), f.tcp, f.has_data, f.mode);
		if (records && !syn)
			promote(key, record, seen, f.group);
		else if (records && c.state == REPLICA_ACTIVE)
			update_record(HALF_OPEN, key, record, seen);
		return c.id;
	}
	recorded |= record && c.state != REPLICA_GONE;
	if (f.is_tcp && !syn) {
		if (!records || !f.always || recorded)
			begins = 0;
		if (owners & IN_TRANSITION && f.previous_slot && choose(&c, owners >> 32 & REPLICA_ID)) {
			if (records)
				reset_previous_age(f.previous_slot - 1);
			return c.id | begins;
		}
		records = begins;
	}
	if (!replica_at(owner))
		return -1;
	return records ? owner | begins : owner;
}

__noinline int pick_recorded(__u64 key, __u64 tag, __u64 owners, __u64 facts)
{
	return pick_by_record(key, tag, owners, (union pick_facts){ .word = facts }, true);
}

__noinline int pick_only(__u64 key, __u64 tag, __u64 owners, __u64 facts)
{
	return pick_by_record(key, tag, owners, (union pick_facts){ .word = facts }, false);
}

/* Begins a flow with the replica that was chosen, and records it. A TCP flow that was not seen to begin counts as closed
 * by its replica up to its next packet: a SYN then is not one sent again. */
static __always_inline bool begin_flow(const struct service *s, const struct packet *p, __u64 key, __u64 tag, __u32 replica, bool unrecorded)
{
	__u64 record;

	if (!may_begin(s, p, replica))
		return false;
	record = seen_record(tag | replica, p->tcp, has_data(p), s->mode);
	if (l4_is(p->flow.l4, L4_TCP) && !is_syn(p))
		record |= CLOSED_BY_REPLICA;
	if (unrecorded)
		record_new(key, record, s->id);
	else
		record_start(key, record, s->id);
	return true;
}

/* Counts a flow that begins with a replica. */
static __always_inline void count_begun(__u32 replica)
{
	struct flow_count *c = bpf_map_lookup_elem(&flow_counts, &replica);

	if (c)
		c->begun++;
}

/* The reason for which a packet of a service with rates does not go to the replica that has been picked, else LB_OK. */
static __always_inline enum lb_reason limited(const struct service *s, bool begins)
{
	int why = take_rates(s, begins);

	return why >= LB_OK && why < LB_REASONS ? (enum lb_reason)why : LB_TABLE_FAULT;
}

/* The owner of a settled slot, as OWNER_ELSEWHERE says. */
static __always_inline __u32 short_owner(__u32 slot)
{
	__u64 at = slot;

	return AT_MOST(at, SLOTS_LAST) ? ((volatile __u16 *)ROWS(slot_owners)->owner)[at] : OWNER_ELSEWHERE;
}

/* Whether a service without a table, or with a settled slot, needs no more to be looked at. */
#define SERVICE_UNUSUAL (SERVICE_TRACK_ALWAYS | SERVICE_REHASHED | SERVICE_LIMITED)

/* Is a packet one of a recorded flow in its middle, of which nothing is to be noted, and its replica active? Most packets of recorded
 * flows are. Finds the replica. */
static __always_inline bool goes_on(const struct service *s, struct packet *p, __u32 hash, __u32 *chosen)
{
	struct short_replica *word;
	__u64 key, record;

	if (p->tcp & TCP_SYN)
		return false;
	reread_plain(p);
	key = key_to(&p->flow, s->vip.port);
	record = find_record(ESTABLISHED, key, tag_of(key, hash));
	if (!record || seen_record(record, p->tcp, has_data(p), s->mode) != record)
		return false;
	*chosen = replica_of(record);
	word = ROW(short_replicas, *chosen, REPLICAS_LAST);
	return word && *(volatile __u16 *)&word->hop;
}

/* Do the flows of a slot need their records? */
static __always_inline bool in_transition(__u32 index)
{
	struct slot *slot = bpf_map_lookup_elem(&slots, &index);
	__u64 owners = slot ? *(volatile __u64 *)slot : 0;

	return (__u32)owners != owners >> 32;
}

/* What pick() does, as far as most packets need it; false: they need more, and nothing has been done. */
static __always_inline bool pick_quickly(const struct service *s, struct packet *p, __u32 *chosen, __u32 *hash_out)
{
	__u32 h = hash(&p->flow, s->hash, s->seed), index, owner;

	*hash_out = h;
	if (unlikely(!s->size))
		return false;
	index = s->offset + remainder(h, s->size, s->reciprocal);
	owner = short_owner(index);
	reread_plain(p);
	if (likely(owner != OWNER_ELSEWHERE && !(s->flags & SERVICE_UNUSUAL))) {
		*chosen = owner + s->first_replica;
		if (unlikely(is_syn(p)))
			count_begun(*chosen);
		return true;
	}
	if (s->flags & (SERVICE_REHASHED | SERVICE_LIMITED) || s->previous_hash != s->hash || s->previous_seed != s->seed)
		return false;
	return (s->flags & SERVICE_TRACK_ALWAYS || in_transition(index)) && goes_on(s, p, h, chosen);
}

/* The id of the replica. With `only` nothing goes to the replica, and limits of the service do not matter. */
static __always_inline enum lb_reason pick(const struct service *s, const struct packet *p, bool records, bool only,
					   __u32 *chosen, __u32 *hash_out)
{
	const struct tuple *t = &p->flow;
	__u32 h = hash(t, s->hash, s->seed), index, at, owner, record_hash = h;
	union pick_facts f = {};
	__u64 owners = NO_OWNERS, key;
	enum lb_reason why;
	struct slot *slot;
	bool begins;
	int id;

	*hash_out = h;
	if (likely(s->size)) {
		index = s->offset + remainder(h, s->size, s->reciprocal);
		owner = short_owner(index);
		if (likely(owner != OWNER_ELSEWHERE)) {
			owner += s->first_replica;
			if (likely(!(s->flags & SERVICE_UNUSUAL))) {
				*chosen = owner;
				if (unlikely(is_syn(p)) && records && !only)
					count_begun(owner);
				return LB_OK;
			}
			owners = owner | (__u64)owner << 32;
		} else {
			at = index;
			slot = bpf_map_lookup_elem(&slots, &at);
			if (!slot)
				return LB_TABLE_FAULT;
			owners = *(volatile __u64 *)slot;
			f.previous_slot = index + 1;
		}
	} else if (!(s->flags & SERVICE_UNUSUAL)) {
		return LB_NO_REPLICA;
	}
	if (!only && s->flags & SERVICE_RANGES && !is_client(s, t))
		return LB_SOURCE_DENIED;
	if ((__u32)owners == owners >> 32 && !(s->flags & (SERVICE_TRACK_ALWAYS | SERVICE_REHASHED))) {
		if (!s->size)
			return LB_NO_REPLICA;
		*chosen = owners;
		why = !only && s->flags & SERVICE_RATES ? limited(s, records && is_syn(p)) : LB_OK;
		if (why == LB_OK && is_syn(p) && records && !only)
			count_begun(*chosen);
		return why;
	}
	if (s->previous_hash != s->hash || s->previous_seed != s->seed)
		record_hash = hash(t, s->previous_hash, s->previous_seed);
	if (s->flags & SERVICE_REHASHED)
		owners = read_previous_table(s, record_hash, owners, &f);
	key = key_to(t, s->vip.port);
	f.tcp = p->tcp;
	f.group = s->id;
	f.mode = s->mode;
	f.is_tcp = l4_is(t->l4, L4_TCP);
	f.has_data = has_data(p);
	f.always = s->flags & SERVICE_TRACK_ALWAYS ? 1 : 0;
	if (records)
		id = pick_recorded(key, tag_of(key, record_hash), owners, f.word);
	else
		id = pick_only(key, tag_of(key, record_hash), owners, f.word);
	if (id < 0)
		return LB_NO_REPLICA;
	*chosen = id & REPLICA_ID;
	begins = records && (f.is_tcp ? is_syn(p) : id & BEGINS);
	if (!only && s->flags & SERVICE_RATES) {
		why = limited(s, begins);
		if (why != LB_OK)
			return why;
	}
	if (records && id & BEGINS && !begin_flow(s, p, key, tag_of(key, record_hash), *chosen, id & UNRECORDED))
		return LB_PORT_TAKEN;
	if (begins && !only)
		count_begun(*chosen);
	return LB_OK;
}

/* Is the replica the sender of the packet? */
static __always_inline bool is_sender(const struct packet *p, const struct replica *r)
{
	if (p->flow.is_v6)
		return load64(r->address + 8) == load64(p->flow.source + 8) &&
		       load64(r->address) == load64(p->flow.source);
	return load64(r->address + 8) == mapped_low(load32(p->flow.source)) && !load64(r->address);
}
