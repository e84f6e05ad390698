/* A flow from the replica's end: a packet from the address and port of a replica in mode nat, and the record of the flow
 * that it may be an answer of. Replicas of several services may have the same endpoint; then the records tell whose
 * flow it is, and a flow begins only where they will.
 */
#pragma once

#include "records.h"

/* The other end of such flows but for its address, and what a packet says of them. Functions that are not inlined get it
 * as a word, and the address as two, as in an endpoint_key. */
union peer {
	__u64 word;
	struct {
		__u16 port; /* of the client, as on the wire */
		__u16 tcp;  /* of an answer: data offset and flags */
		__u8 protocol;
		bool is_v6;
		bool begins;	/* not an answer: a client begins a flow */
		bool refreshes; /* an answer that keeps the record from expiring */
	};
};

/* What is recorded of the flow between a client and the VIP in a row of rev_nats. */
enum evidence {
	NOTHING_RECORDED,
	DISPLACED,    /* nothing, but there is no room: it may have been recorded */
	WITH_ANOTHER, /* with another replica, which serves */
	WITH_ABSENT,  /* with another replica, which does not */
	WITH_IT,
};

/* What becomes of the record of a flow that is with the replica of the row: by its answer, or because another flow begins
 * between the same ends, by another VIP. That takes the place of one that has ended. */
static __always_inline __u64 touched_record(union peer peer, enum table t, __u64 record, bool always)
{
	if (unlikely(peer.begins))
		return has_ended(record) ? 0 : record;
	if (unlikely(peer.tcp & (TCP_FIN | TCP_RST)))
		record |= peer.tcp & TCP_RST ? ENDED : CLOSED_BY_REPLICA;
	/* A half-open TCP flow is the client's to keep alive, else a replica that drains would with its SYN-ACKs. */
	if (always && peer.refreshes && (t == ESTABLISHED || peer.protocol != IPPROTO_TCP))
		record &= ~RECORD_AGE;
	return record;
}

/* The key and the tag of the record of a flow. */
struct record_key {
	__u64 key, tag;
};

/* Of the flow between an address and port of a client and the VIP in a row. is_v6 is a constant at each call, so that the
 * addresses stay in registers. */
static __always_inline struct record_key key_of_flow(const void *client, __u16 port, struct l4_type l4,
						     const struct rev_nat *n, bool is_v6)
{
	struct tuple f = {
		.source = client,
		.destination = is_v6 ? n->address : n->address + 12,
		.ports = port | (__u32)load16(n->port) << 16,
		.l4 = l4,
		.is_v6 = is_v6,
	};
	struct record_key k = { .key = key_of(&f) };

	k.tag = tag_of(k.key, hash(&f, n->hash, n->seed));
	return k;
}

/* The place of the record with a tag; NULL if there is none. */
static __always_inline __u64 *place_of(enum table t, struct record_key k, __u64 *record)
{
	struct records *r = line(t, k.key);

	for (int i = 0; r && i < RECORD_ENTRIES; i++) {
		*record = read_record(&r->entry[i]);
		if (has_tag(*record, k.tag))
			return &r->entry[i];
	}
	return NULL;
}

/* Is there room for the record of a flow that begins? Where there is not, others take its place. */
static __always_inline bool has_room(__u64 key)
{
	struct records *r = line(HALF_OPEN, key);
	bool room = !r;

	for (int i = 0; r && i < RECORD_ENTRIES; i++)
		room |= !read_record(&r->entry[i]);
	return room;
}

/* Says what the record is of the flow between a client and the VIP of a replica, and updates it. The replica's id is the
 * number of its row. Returns enum evidence. */
__noinline int check_record(__u64 high, __u64 low, __u64 word, __u32 id)
{
	struct rev_nat *n = ROW(rev_nats, id, REPLICAS_LAST);
	__u64 record, new, *place, client[2] = { high, low };
	union peer peer = { .word = word };
	enum table t = ESTABLISHED;
	enum replica_state holder;
	struct record_key k;

	if (!n || !(n->flags & REV_NAT_TRACKED))
		return NOTHING_RECORDED;
	if (peer.is_v6)
		k = key_of_flow(client, peer.port, (struct l4_type){ peer.protocol }, n, true);
	else
		k = key_of_flow((void *)client + 12, peer.port, (struct l4_type){ peer.protocol }, n, false);
	place = place_of(ESTABLISHED, k, &record);
	if (unlikely(!place)) {
		t = HALF_OPEN;
		place = place_of(HALF_OPEN, k, &record);
	}
	if (likely(place && replica_of(record) == id)) {
		new = touched_record(peer, t, record, n->flags & REV_NAT_RECORDED);
		if (unlikely(new != record))
			swap_record(place, record, new);
		return new ? WITH_IT : NOTHING_RECORDED;
	}
	holder = place ? state_of(replica_of(record)) : REPLICA_GONE;
	if (holder != REPLICA_GONE)
		return serves(holder) ? WITH_ANOTHER : WITH_ABSENT;
	return has_room(k.key) ? NOTHING_RECORDED : DISPLACED;
}

/* How many replicas of other services may have the same endpoint: lb.MaxShares, less one. */
#define OTHERS_MAX 3
#define OTHER_BITS 21

/* Returns the other rows with the endpoint of this one: their numbers plus one, OTHER_BITS each. */
__noinline __u64 other_rows(__u32 id)
{
	struct rev_nat *n = ROW(rev_nats, id, REPLICAS_LAST);
	struct endpoint_key k;
	__u64 others = 0;
	struct bucket *b;

	if (!n || !(n->flags & REV_NAT_SHARED))
		return 0;
	k.high = load64(n->replica.address);
	k.low = load64(n->replica.address + 8);
	k.rest = load32(n->replica.port);
	b = ROWS(rev_nat_index) + SHIFTED(endpoint_hash(k), REV_NAT_SHIFT);
	for (int i = 0; i < BUCKET_ROWS && b->row[i]; i++) {
		__u32 row = b->row[i] - 1;

		n = ROW(rev_nats, row, REPLICAS_LAST);
		if (n && row != id && is_endpoint(&n->replica, k))
			others = others << OTHER_BITS | (row + 1);
	}
	return others;
}

static __always_inline __u32 first_of(__u64 others)
{
	return (others & ((1 << OTHER_BITS) - 1)) - 1;
}

/* May a packet be an answer by this row though its flow is not recorded? */
static __always_inline bool is_pending(__u32 row)
{
	struct rev_nat *n = ROW(rev_nats, row, REPLICAS_LAST);

	return n && !(n->flags & REV_NAT_BY_RECORD);
}

/* Finds the row by which a packet is an answer that comes from the endpoint of a row but is not of a flow with that row's
 * replica, as the evidence says. Returns its number plus one; 0 if it is no answer. In this order: the row with whose
 * replica the flow is recorded; the only one where it is recorded with a replica that does not serve, so that others
 * have its packets now; the one whose service has not recorded every flow for long enough, or that alone has this endpoint
 * where there is no room for the record. */
__noinline __u32 find_answered(__u64 high, __u64 low, __u64 word, __u32 id, __u32 evidence)
{
	__u32 pending = 0, absent = evidence == WITH_ABSENT ? id + 1 : 0;
	__u64 others = other_rows(id);
	bool several = false;

	if (is_pending(id) || (evidence == DISPLACED && !others))
		pending = id + 1;
	for (int i = 0; others && i < OTHERS_MAX; i++) {
		id = first_of(others);
		others >>= OTHER_BITS;
		evidence = check_record(high, low, word, id);
		if (evidence == WITH_IT)
			return id + 1;
		if (evidence == WITH_ABSENT) {
			several |= absent;
			absent = id + 1;
		}
		if (is_pending(id))
			pending = id + 1;
	}
	return absent && !several ? absent : pending;
}

/* Has the client another flow from this port to the replica of a row, by another VIP? */
__noinline int is_taken(__u64 high, __u64 low, __u64 word, __u32 id)
{
	__u64 others = other_rows(id);
	int taken = 0;

	for (int i = 0; others && i < OTHERS_MAX; i++) {
		taken |= check_record(high, low, word, first_of(others)) == WITH_IT;
		others >>= OTHER_BITS;
	}
	return taken;
}

static __always_inline bool has_record(enum table t, __u64 key, __u64 record)
{
	struct records *r = line(t, key);

	for (int i = 0; r && i < RECORD_ENTRIES; i++)
		if (!((read_record(&r->entry[i]) ^ record) & ~ENDED))
			return true;
	return false;
}

/* Does a packet answer a flow that is recorded with the replica of a row, and is nothing to be noted there: has the flow
 * been used in this step, or is it half-open? */
static __always_inline bool is_plain_answer(const struct packet *p, const struct rev_nat *n, __u32 id, bool is_v6)
{
	struct record_key k = key_of_flow(p->flow.destination, p->flow.ports >> 16, p->flow.l4, n, is_v6);

	return has_record(ESTABLISHED, k.key, k.tag | id) || has_record(HALF_OPEN, k.key, k.tag | id);
}

static __always_inline union peer peer_of(const struct packet *p, __u16 port)
{
	union peer peer = {
		.port = port,
		.tcp = p->tcp,
		.protocol = p->flow.l4.wire,
		.is_v6 = p->flow.is_v6,
	};

	return peer;
}

/* May a flow begin with this replica? Not if the replica could not tell it from another one. */
static __always_inline bool may_begin(const struct service *s, const struct packet *p, __u32 replica)
{
	struct rev_nat *n = ROW(rev_nats, replica, REPLICAS_LAST);
	struct endpoint_key client;
	union peer peer;

	if (s->mode != LB_MODE_NAT || likely(!n || !(n->flags & REV_NAT_SHARED)))
		return true;
	client = endpoint_key(p->flow.source, p->flow.is_v6, 0, p->flow.l4);
	peer = peer_of(p, p->flow.ports);
	peer.begins = true;
	return !is_taken(client.high, client.low, peer.word, replica);
}
