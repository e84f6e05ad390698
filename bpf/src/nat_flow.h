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
	WITH_ANOTHER, /* with another replica, which serves */
	WITH_ABSENT,  /* with another replica, which does not */
	WITH_IT,
};

/* Updates the record of a flow that is with the replica of the row: by its answer, or because another flow
 * begins between the same ends, by another VIP. That takes the place of one that has ended. */
static __always_inline enum evidence touch_record(union peer peer, enum table t, __u64 key, __u64 record,
						  bool always)
{
	__u64 new = record;

	if (peer.begins) {
		if (!has_ended(record))
			return WITH_IT;
		replace_record(t, key, record, 0);
		return NOTHING_RECORDED;
	}
	if (unlikely(peer.tcp & (TCP_FIN | TCP_RST)))
		new |= peer.tcp & TCP_RST ? ENDED : CLOSED_BY_REPLICA;
	/* A half-open TCP flow is the client's to keep alive, else a replica that drains would with its SYN-ACKs. */
	if (always && peer.refreshes && (t == ESTABLISHED || peer.protocol != IPPROTO_TCP))
		new &= ~RECORD_AGE;
	update_record(t, key, record, new);
	return WITH_IT;
}

/* The key and the tag of the record of a flow; without a tag there is none. */
struct record_key {
	__u64 key, tag;
	bool always;
};

/* is_v6 is a constant at each call, so that the addresses stay in registers. */
static __always_inline struct record_key key_of_flow(__u64 high, __u64 low, union peer peer, const struct rev_nat *n,
						     bool is_v6)
{
	__u64 client[2] = { high, low };
	struct tuple f = {
		.source = is_v6 ? (void *)client : (void *)client + 12,
		.destination = is_v6 ? n->address : n->address + 12,
		.ports = peer.port | (__u32)load16(n->port) << 16,
		.l4.wire = peer.protocol,
		.is_v6 = is_v6,
	};
	struct service *s = find_service(&f);
	struct record_key k = {};

	if (!s || !(s->flags & (SERVICE_TRACK_CHANGES | SERVICE_TRACK_ALWAYS)))
		return k;
	k.key = key_of(&f);
	k.tag = tag_of(k.key, hash(&f, s->previous_hash, s->previous_seed));
	k.always = s->flags & SERVICE_TRACK_ALWAYS;
	return k;
}

/* Looks for the record of the flow between a client and the VIP of a replica, and updates it. The replica's id is the
 * number of its row. */
__noinline int check_record(__u64 high, __u64 low, __u64 word, __u32 id)
{
	struct rev_nat *n = bpf_map_lookup_elem(&rev_nats, &id);
	union peer peer = { .word = word };
	enum table t = ESTABLISHED;
	struct replica *holder;
	struct record_key k;
	__u64 record;
	__u32 with;

	if (!n)
		return NOTHING_RECORDED;
	k = peer.is_v6 ? key_of_flow(high, low, peer, n, true) : key_of_flow(high, low, peer, n, false);
	if (!k.tag)
		return NOTHING_RECORDED;
	record = find_record(ESTABLISHED, k.key, k.tag);
	if (!record) {
		t = HALF_OPEN;
		record = find_record(HALF_OPEN, k.key, k.tag);
	}
	if (!record)
		return NOTHING_RECORDED;
	with = replica_of(record);
	if (with == id)
		return touch_record(peer, t, k.key, record, k.always);
	holder = replica_at(with);
	if (!is_listed(holder))
		return NOTHING_RECORDED;
	return serves(holder) ? WITH_ANOTHER : WITH_ABSENT;
}

/* How many replicas of other services may have the same endpoint: lb.MaxShares, less one. */
#define OTHERS_MAX 3
#define OTHER_BITS 21

/* Returns the other rows with the endpoint of this one: their numbers plus one, OTHER_BITS each. */
__noinline __u64 other_rows(__u32 id)
{
	struct rev_nat *n = bpf_map_lookup_elem(&rev_nats, &id);
	struct endpoint_key k;
	__u64 others = 0;
	struct bucket *b;
	__u32 at;

	if (!n)
		return 0;
	k.high = load64(n->replica.address);
	k.low = load64(n->replica.address + 8);
	k.rest = load32(n->replica.port);
	at = bucket_hash(k) & rev_nat_buckets_last;
	b = bpf_map_lookup_elem(&rev_nat_index, &at);
	for (int i = 0; b && i < BUCKET_ROWS && b->row[i]; i++) {
		__u32 row = b->row[i] - 1;

		n = bpf_map_lookup_elem(&rev_nats, &row);
		if (n && row != id && is_endpoint(&n->replica, k))
			others = others << OTHER_BITS | (row + 1);
	}
	return others;
}

static __always_inline __u8 flags_of(__u32 row)
{
	struct rev_nat *n = bpf_map_lookup_elem(&rev_nats, &row);

	return n ? n->flags : 0;
}

/* Finds the row by which a packet from the endpoint of a row is an answer, and returns its number plus one; 0 if it is
 * none. In this order: the row with whose replica the flow is recorded; the only one where it is recorded with a
 * replica that does not serve, so that others have its packets now; the one whose service has not recorded
 * every flow for long enough. */
static __always_inline __u32 find_answer(struct endpoint_key client, union peer peer, __u32 id, __u8 flags)
{
	__u32 evidence = check_record(client.high, client.low, peer.word, id), pending = 0;
	__u64 others, absent = 0;

	if (evidence == WITH_IT || !(flags & REV_NAT_RECORDED))
		return id + 1;
	others = flags & REV_NAT_SHARED ? other_rows(id) : 0;
	for (int i = 0;; i++) {
		if (evidence == WITH_ABSENT)
			absent = absent << 32 | (id + 1);
		if (!(flags & REV_NAT_BY_RECORD))
			pending = id + 1;
		if (likely(!others) || i == OTHERS_MAX)
			return absent && !(absent >> 32) ? absent : pending;
		id = (others & ((1 << OTHER_BITS) - 1)) - 1;
		others >>= OTHER_BITS;
		flags = flags_of(id);
		evidence = check_record(client.high, client.low, peer.word, id);
		if (evidence == WITH_IT)
			return id + 1;
	}
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
	struct rev_nat *n = bpf_map_lookup_elem(&rev_nats, &replica);
	struct endpoint_key client;
	union peer peer;
	__u64 others;

	if (s->mode != LB_MODE_NAT || likely(!n || !(n->flags & REV_NAT_SHARED)))
		return true;
	client = endpoint_key(p->flow.source, p->flow.is_v6, 0, p->flow.l4);
	peer = peer_of(p, p->flow.ports);
	peer.begins = true;
	for (others = other_rows(replica); others; others >>= OTHER_BITS)
		if (check_record(client.high, client.low, peer.word, (others & ((1 << OTHER_BITS) - 1)) - 1) == WITH_IT)
			return false;
	return true;
}
