/* Which replica a flow goes to. Package lb/oracle says the rule, and why it holds. */
#pragma once

#include "maps.h"
#include "flows.h"
#include "hash.h"

/* What the slots say: owners as replica ids, REPLICA_NONE for none. */
struct owners {
	__u32 current;
	__u32 base;
	bool marked;
	__u32 *base_word; /* where base is; set if marked */
};

static __always_inline bool serves(const struct replica *r)
{
	return r && (r->state == REPLICA_ACTIVE || r->state == REPLICA_DRAINING);
}

static __always_inline struct replica *replica_at(__u32 id)
{
	return bpf_map_lookup_elem(&replicas, &id);
}

/* Says that flows without a record still use a base. */
static __always_inline void base_used(__u32 *word)
{
	__u32 base = *(volatile __u32 *)word;

	if (base & AGE)
		__sync_val_compare_and_swap(word, base, base & ~AGE);
}

/* The base of a service's flows that is in another table. */
static __always_inline void moved_base(const struct service *s, __u32 hash, struct owners *o)
{
	__u32 index = s->base_offset + remainder(hash, s->base_size, s->base_reciprocal);
	struct slot *slot;

	o->marked = true;
	o->base = REPLICA_NONE;
	o->base_word = NULL;
	if (!s->base_size)
		return;
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot)
		return;
	o->base_word = &slot->base;
	o->base = *(volatile __u32 *)&slot->base & REPLICA_ID;
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

/* A flow that is recorded, or should be. Records is false for packets that only ask. */
static __always_inline enum lb_reason pick_watched(const struct service *s, const struct tuple *f,
						   __u32 hash, bool fresh, bool records,
						   struct owners *o, struct choice *c)
{
	__u64 key = key_of(f), tag = tag_of(key, hash), record;

	record = recall(FLOWS, key, tag);
	if (record && choose(c, replica_of(record))) {
		if (records)
			refresh(FLOWS, key, record);
		return LB_OK;
	}
	record = recall(EMBRYOS, key, tag);
	if (record && choose(c, replica_of(record))) {
		if (records && !fresh)
			promote(key, record, s->id);
		else if (records)
			refresh(EMBRYOS, key, record);
		return LB_OK;
	}
	if (l4_is(f->l4, L4_TCP) && !fresh) {
		if (o->marked && o->base_word && choose(c, o->base)) {
			if (records)
				base_used(o->base_word);
			return LB_OK;
		}
		records = false;
	}
	c->id = o->current;
	c->replica = replica_at(o->current);
	if (!c->replica)
		return LB_NO_REPLICA;
	if (records)
		remember(key, tag, c->id, s->id);
	return LB_OK;
}

static __always_inline enum lb_reason pick(const struct service *s, const struct tuple *f,
					   bool fresh, bool records, struct choice *c, __u32 *hash_out)
{
	__u32 h = hash(f, s->hash, s->seed), index, base_hash = h;
	struct owners o = { .current = REPLICA_NONE, .base = REPLICA_NONE };
	struct slot *slot;
	__u64 word;

	*hash_out = h;
	if (likely(s->size)) {
		index = s->offset + remainder(h, s->size, s->reciprocal);
		slot = bpf_map_lookup_elem(&slots, &index);
		if (!slot)
			return LB_TABLE_FAULT;
		word = *(volatile __u64 *)slot;
		o.current = word;
		o.base = word >> 32;
		if (likely(o.current == o.base && !(s->flags & (SERVICE_ALWAYS | SERVICE_MOVED)))) {
			c->id = o.current;
			c->replica = replica_at(o.current);
			return c->replica ? LB_OK : LB_TABLE_FAULT;
		}
		o.marked = o.base & SLOT_MARKED;
		o.base &= REPLICA_ID;
		o.base_word = &slot->base;
	}
	if (!s->size && !(s->flags & (SERVICE_ALWAYS | SERVICE_MOVED)))
		return LB_NO_REPLICA;
	if (s->base_hash != s->hash || s->base_seed != s->seed)
		base_hash = hash(f, s->base_hash, s->base_seed);
	if (s->flags & SERVICE_MOVED)
		moved_base(s, base_hash, &o);
	return pick_watched(s, f, base_hash, fresh, records, &o, c);
}
