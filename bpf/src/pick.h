/* Which replica a flow goes to. The package comment of lb/oracle has the rule and why it holds. */
#pragma once

#include "maps.h"
#include "records.h"
#include "hash.h"

/* What the tables say about the flow's slot: replica ids, REPLICA_NONE for none. */
struct slot_owners {
	__u32 owner;
	__u32 previous;
	bool in_transition;
	__u32 *previous_word; /* where `previous` stands; NULL if there is no such slot */
};

static __always_inline bool serves(const struct replica *r)
{
	return r && (r->state == REPLICA_ACTIVE || r->state == REPLICA_DRAINING);
}

static __always_inline struct replica *replica_at(__u32 id)
{
	return bpf_map_lookup_elem(&replicas, &id);
}

/* Resets the age of a previous owner: a flow without a record still goes there. */
static __always_inline void reset_previous_age(__u32 *word)
{
	__u32 previous = *(volatile __u32 *)word;

	if (previous & AGE)
		__sync_val_compare_and_swap(word, previous, previous & ~AGE);
}

/* Reads the previous owner from the previous table of a service. */
static __always_inline void read_previous_table(const struct service *s, __u32 hash, struct slot_owners *o)
{
	__u32 index = s->previous_offset + remainder(hash, s->previous_size, s->previous_reciprocal);
	struct slot *slot;

	o->in_transition = true;
	o->previous = REPLICA_NONE;
	o->previous_word = NULL;
	if (!s->previous_size)
		return;
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot)
		return;
	o->previous_word = &slot->previous;
	o->previous = *(volatile __u32 *)&slot->previous & REPLICA_ID;
}

struct choice {
	struct replica *replica;
	__u32 id;
};

static __always_inline bool choose(struct choice *c, __u32 id)
{
	c->id = id;
	c->replica = replica_at(id);
	return serves(c->replica);
}

/* Picks for a flow that has a record or may need one. With `records` false nothing is written:
 * the packet is only about the flow. A SYN starts a flow anew if the recorded one has ended, or if it
 * is with a replica that drains and does not start itself. */
static __always_inline enum lb_reason pick_by_record(const struct service *s, const struct packet *p,
						     __u32 hash, bool records, struct slot_owners *o,
						     struct choice *c)
{
	const struct tuple *f = &p->flow;
	__u64 key = key_of(f), tag = tag_of(key, hash), record;
	bool syn = is_syn(p);

	record = find_record(ESTABLISHED, key, tag);
	if (record && choose(c, replica_of(record)) &&
	    !(syn && (has_ended(record) || c->replica->state == REPLICA_DRAINING))) {
		if (records)
			update_record(ESTABLISHED, key, record, seen_record(record, p, s->mode));
		return LB_OK;
	}
	record = find_record(HALF_OPEN, key, tag);
	if (record && choose(c, replica_of(record)) &&
	    !(syn && (has_ended(record) ||
		      (c->replica->state == REPLICA_DRAINING && age_of(record) >= STARTING_STEPS)))) {
		if (records && !syn)
			promote(key, record, seen_record(record, p, s->mode), s->id);
		else if (records && c->replica->state == REPLICA_ACTIVE)
			update_record(HALF_OPEN, key, record, seen_record(record, p, s->mode));
		return LB_OK;
	}
	if (l4_is(f->l4, L4_TCP) && !syn) {
		if (o->in_transition && o->previous_word && choose(c, o->previous)) {
			if (records)
				reset_previous_age(o->previous_word);
			return LB_OK;
		}
		records = false;
	}
	c->id = o->owner;
	c->replica = replica_at(o->owner);
	if (!c->replica)
		return LB_NO_REPLICA;
	if (records)
		record_start(key, tag, c->id, s->id);
	return LB_OK;
}

static __always_inline enum lb_reason pick(const struct service *s, const struct packet *p, bool records,
					   struct choice *c, __u32 *hash_out)
{
	const struct tuple *f = &p->flow;
	__u32 h = hash(f, s->hash, s->seed), index, record_hash = h;
	struct slot_owners o = { .owner = REPLICA_NONE, .previous = REPLICA_NONE };
	struct slot *slot;
	__u64 word;

	*hash_out = h;
	if (likely(s->size)) {
		index = s->offset + remainder(h, s->size, s->reciprocal);
		slot = bpf_map_lookup_elem(&slots, &index);
		if (!slot)
			return LB_TABLE_FAULT;
		word = *(volatile __u64 *)slot;
		o.owner = word;
		o.previous = word >> 32;
		if (likely(o.owner == o.previous && !(s->flags & (SERVICE_TRACK_ALWAYS | SERVICE_REHASHED)))) {
			c->id = o.owner;
			c->replica = replica_at(o.owner);
			return c->replica ? LB_OK : LB_TABLE_FAULT;
		}
		o.in_transition = o.previous & SLOT_IN_TRANSITION;
		o.previous &= REPLICA_ID;
		o.previous_word = &slot->previous;
	}
	if (!s->size && !(s->flags & (SERVICE_TRACK_ALWAYS | SERVICE_REHASHED)))
		return LB_NO_REPLICA;
	if (s->previous_hash != s->hash || s->previous_seed != s->seed)
		record_hash = hash(f, s->previous_hash, s->previous_seed);
	if (s->flags & SERVICE_REHASHED)
		read_previous_table(s, record_hash, &o);
	return pick_by_record(s, p, record_hash, records, &o, c);
}
