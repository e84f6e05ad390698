/* Finding the service that a flow is for, or the replica that it is from. */
#pragma once

#include "maps.h"
#include "parse.h"

/* The numbers of buckets, powers of two, less one. Set by Go. */
const volatile __u32 service_buckets_last, origin_buckets_last;

/* An endpoint as it is hashed and compared. */
struct words {
	__u64 high, low; /* of the address */
	__u32 rest;	 /* port, protocol, IP version */
};

/* Both ports and protocol 0: any VIP with the address. */
static __always_inline struct words words_of(const void *address, bool is_v6, __u16 port,
					     struct l4_type l4)
{
	struct words w;

	if (is_v6) {
		w.high = load64(address);
		w.low = load64(address + 8);
	} else {
		w.high = 0;
		w.low = mapped_low(load32(address));
	}
	w.rest = port | (__u32)l4.wire << 16 | (is_v6 ? 6 << 24 : 4 << 24);
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
	return load64(e->address + 8) == w.low && load32(e->port) == w.rest &&
	       load64(e->address) == w.high;
}

static __always_inline struct service *service_at(struct words w)
{
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

static __always_inline struct origin *origin_at(struct words w)
{
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

/* The service that a flow goes to. */
static __always_inline struct service *find_service(const struct tuple *f)
{
	return service_at(words_of(f->destination, f->is_v6, f->ports >> 16, f->l4));
}

/* The replica that a flow comes from. */
static __always_inline struct origin *find_origin(const struct tuple *f)
{
	return origin_at(words_of(f->source, f->is_v6, f->ports, f->l4));
}

/* Does a VIP have this address? */
static __always_inline bool is_vip(const void *address, bool is_v6)
{
	return service_at(words_of(address, is_v6, 0, (struct l4_type){ 0 }));
}
