/* Finding the service that a packet is for, or the replica that it is from. */
#pragma once

#include "maps.h"
#include "parse.h"
#include "words.h"

/* The numbers of buckets, powers of two, less one. Set by Go. */
const volatile __u32 service_buckets_last, origin_buckets_last;

/* An endpoint as it is hashed and compared. */
struct words {
	__u64 high, low; /* of the address */
	__u32 rest; /* port, protocol, IP version */
};

static __always_inline struct words endpoint_of(const struct packet *p, const void *v4,
						const void *v6, const void *port)
{
	struct words w;

	if (p->is_v6) {
		w.high = load64(v6);
		w.low = load64(v6 + 8);
	} else {
		w.high = 0;
		w.low = (__u64)load32(v4) << 32 | 0xffff0000;
	}
	w.rest = load16(port) | (__u32)p->l4.wire << 16 | (p->is_v6 ? 6 << 24 : 4 << 24);
	return w;
}

/* Multiplicative hashing (Knuth, TAOCP 6.4): operators, not senders, choose what is
 * inserted. A product carries upwards only, so the high half, where the last byte of
 * an address is, is folded down first. Go computes the same in lb/datapath/index.go. */
static __always_inline __u32 bucket_hash(struct words w)
{
	__u64 h = w.high * 0xbf58476d1ce4e5b9ULL ^ w.low ^ w.rest;

	h ^= h >> 32;
	return h * 0x9e3779b97f4a7c15ULL >> 32;
}

static __always_inline bool is_endpoint(const struct endpoint *e, struct words w)
{
	return load64(e->address) == w.high && load64(e->address + 8) == w.low &&
	       load32(e->port) == w.rest;
}

static __always_inline struct service *find_service(const struct packet *p)
{
	struct words w = endpoint_of(p, &p->v4->daddr, &p->v6->daddr, p->ports->destination);
	__u32 at = bucket_hash(w) & service_buckets_last;
	struct bucket *b = bpf_map_lookup_elem(&service_index, &at);

	for (int i = 0; b && i < BUCKET_ROWS && b->row[i]; i++) {
		__u32 row = b->row[i] - 1;
		struct service *s = bpf_map_lookup_elem(&services, &row);

		if (s && is_endpoint(&s->vip, w))
			return s;
	}
	return NULL;
}

static __always_inline struct origin *find_origin(const struct packet *p)
{
	struct words w = endpoint_of(p, &p->v4->saddr, &p->v6->saddr, p->ports->source);
	__u32 at = bucket_hash(w) & origin_buckets_last;
	struct bucket *b = bpf_map_lookup_elem(&origin_index, &at);

	for (int i = 0; b && i < BUCKET_ROWS && b->row[i]; i++) {
		__u32 row = b->row[i] - 1;
		struct origin *o = bpf_map_lookup_elem(&origins, &row);

		if (o && is_endpoint(&o->replica, w))
			return o;
	}
	return NULL;
}
