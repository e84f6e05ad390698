/* Look-ups: the service to which a flow goes, or the replica from which it comes. */
#pragma once

#include "maps.h"
#include "parse.h"

/* An endpoint as words, to be hashed and compared. */
struct endpoint_key {
	__u64 high, low; /* of the address */
	__u32 rest;	 /* port, protocol, IP version */
};

/* With port and protocol 0: the address of VIPs, whatever their ports. */
static __always_inline struct endpoint_key endpoint_key(const void *address, bool is_v6, __u16 port,
					     struct l4_type l4)
{
	struct endpoint_key k;

	if (is_v6) {
		k.high = load64(address);
		k.low = load64(address + 8);
	} else {
		k.high = 0;
		k.low = mapped_low(load32(address));
	}
	k.rest = port | (__u32)l4.wire << 16 | (is_v6 ? 6 << 24 : 4 << 24);
	return k;
}

/* The last 8 bytes of an endpoint as one word: of IPv4 all that tells it from others. */
static __always_inline __u64 endpoint_word(struct endpoint_key k)
{
	return k.low >> 32 | (__u64)k.rest << 32;
}

/* Multiplicative hashing (Knuth, TAOCP 6.4), of which the highest bits are used. It need not resist attacks: operators choose what
 * is inserted, not senders. Addresses that follow each other, as numbers, get hashes far from each other. EndpointHash of lb/tables is the same. */
static __always_inline __u64 endpoint_hash(struct endpoint_key k)
{
	__u64 h = bpf_ntohl(k.low >> 32) | (__u64)k.rest << 32;

	if (k.rest >> 24 != 4)
		h ^= k.high * 0xbf58476d1ce4e5b9ULL + (k.low & 0xffffffff) * 0x94d049bb133111ebULL;
	return h * 0x9e3779b97f4a7c15ULL;
}

static __always_inline bool is_endpoint(const struct endpoint *e, struct endpoint_key k)
{
	return load64(e->address + 12) == endpoint_word(k) &&
	       (k.rest >> 24 == 4 || (load64(e->address) == k.high && load32(e->address + 8) == (__u32)k.low));
}

static __always_inline struct bucket *bucket_of_service(struct endpoint_key k)
{
	return ROWS(service_index) + SHIFTED(endpoint_hash(k), SERVICE_SHIFT);
}

/* With the number of its row. */
static __always_inline struct service *service_at(struct endpoint_key k, __u32 *row)
{
	struct bucket *b = bucket_of_service(k);
	struct service *s;

#pragma clang loop unroll(disable)
	for (int i = 0; i < BUCKET_ROWS && b->row[i]; i++) {
		*row = b->row[i] - 1;
		s = ROW(services, *row, SERVICES_LAST);
		if (s && is_endpoint(&s->vip, k))
			return s;
	}
	return NULL;
}

static __always_inline struct rev_nat *rev_nat_at(struct endpoint_key k, __u32 *replica)
{
	struct bucket *b = ROWS(rev_nat_index) + SHIFTED(endpoint_hash(k), REV_NAT_SHIFT);

#pragma clang loop unroll(disable)
	for (int i = 0; i < BUCKET_ROWS && b->row[i]; i++) {
		__u32 row = b->row[i] - 1;
		struct rev_nat *n = ROW(rev_nats, row, REPLICAS_LAST);

		*replica = row;
		if (n && is_endpoint(&n->replica, k))
			return n;
	}
	return NULL;
}

static __always_inline bool has_port(const __u8 first[2], const __u8 last[2], __u16 port)
{
	__u16 from = bpf_ntohs(load16(first));

	return (__u16)(port - from) <= (__u16)(bpf_ntohs(load16(last)) - from);
}

/* The service of whose ports one is the port of an endpoint, but the first: the number of its row plus one, or 0. */
__noinline __u32 find_by_range(__u64 high, __u64 low, __u32 rest)
{
	struct endpoint_key k = { high, low, rest & 0xff000000 }; /* the address */
	__u16 port = bpf_ntohs(rest);
	__u8 protocol = rest >> 16;
	struct address_row *a;
	struct service *s;
	__u32 row = 0;

	a = (void *)service_at(k, &row);
	for (int i = 0; a && i < PORT_RANGES; i++) {
		__u64 word = *(volatile __u64 *)&a->ranges[i];
		struct port_range *r = (void *)&word;

		if (r->protocol != protocol || !has_port(r->first, r->last, port))
			continue;
		k.rest = load16(r->first) | (rest & 0xffff0000);
		s = service_at(k, &row);
		return s && has_port(s->vip.port, s->end_port, port) ? row + 1 : 0;
	}
	return 0;
}

static __always_inline bool has_ranges(void)
{
	return ROWS(settings)->ranged;
}

/* What find_service does, as far as most packets need it; false: there may be a service all the same. */
static __always_inline bool find_service_quickly(const struct tuple *f, struct service **s)
{
	struct endpoint_key k = endpoint_key(f->destination, f->is_v6, f->ports >> 16, f->l4);
	struct bucket *b = bucket_of_service(k);

	*s = ROW(services, b->row[0] - 1, SERVICES_LAST);
	if (likely(*s && is_endpoint(&(*s)->vip, k)))
		return true;
	*s = NULL;
	return !b->row[1] && !has_ranges();
}

/* The service to which a flow goes. One with this very port comes before one with a range of them. */
static __always_inline struct service *find_service(const struct tuple *f)
{
	struct endpoint_key k = endpoint_key(f->destination, f->is_v6, f->ports >> 16, f->l4);
	__u32 row;
	struct service *s = service_at(k, &row);
	const void *destination = f->destination;

	if (likely(s) || likely(!has_ranges()))
		return s;
	asm("" : "+r"(destination)); /* computed again, rather than kept meanwhile */
	k = endpoint_key(destination, f->is_v6, f->ports >> 16, f->l4);
	row = find_by_range(k.high, k.low, k.rest);
	return row-- ? ROW(services, row, SERVICES_LAST) : NULL;
}

/* The reverse NAT entry of the replica from which a flow comes, and the replica's id. */
static __always_inline struct rev_nat *find_rev_nat(const struct tuple *f, __u32 *replica)
{
	return rev_nat_at(endpoint_key(f->source, f->is_v6, f->ports, f->l4), replica);
}

/* Does a VIP have this address? */
static __always_inline bool is_vip(const void *address, bool is_v6)
{
	__u32 row;

	return service_at(endpoint_key(address, is_v6, 0, (struct l4_type){ 0 }), &row);
}
