/* The common packet, on a path of its own: TCP or UDP without options, extension headers, tags or fragments, to a replica or
 * to a client whose next hop is known. Few values are alive here, so that most of them are in registers. What turns out to
 * need more begins the walk of lb.bpf.c anew: nothing of the packet has been changed then.
 */
#pragma once

#include "fib_cache.h"
#include "leave.h"
#include "pick.h"
#include "answer.h"
#include "tunnel.h"
#include "unclaimed.h"
#include "verdict.h"

/* Results other than a verdict: the walk decides, but the replica has been picked; or that, too, has not. CHOSEN is its own
 * inverse. */
#define CHOSEN(id) (-1 - (int)(id))
#define UNDECIDED CHOSEN(REPLICA_NONE)

static __always_inline int counted(void *counters, __u32 index, __u64 bytes, int verdict)
{
	add(counters, index, bytes);
	return verdict;
}

/* Reads the packet; false: it is not a plain one. */
static __always_inline bool read_plain(struct xdp_md *ctx, struct packet *p, __u64 *bytes, bool is_v6)
{
	void *end = (void *)(long)ctx->data_end;

	p->eth = (void *)(long)ctx->data;
	*bytes = end - (void *)p->eth;
	return (void *)p->eth + (is_v6 ? PLAIN_BYTES_V6 : PLAIN_BYTES_V4) <= end &&
	       (is_v6 ? is_plain_v6(p->eth) : is_plain_v4(p->eth)) && parse_plain(p, *bytes, is_v6);
}

static __always_inline struct service *service_of(struct packet *p)
{
	struct service *s;

	if (find_service_quickly(&p->flow, &s))
		return s;
	reread_plain(p);
	return find_service(&p->flow);
}

/* To a replica, by its row. */
static __always_inline int forward_by_row(struct xdp_md *ctx, struct packet *p, struct service *s, __u64 bytes, __u32 id, __u32 hash)
{
	struct replica *r = replica_at(id);
	enum lb_reason why;
	struct hop *hop;
	__u32 ifindex;
	__u8 active;

	if (!r)
		return counted(&by_reason, LB_TABLE_FAULT, bytes, XDP_DROP);
	active = *(volatile __u8 *)&r->active_hop & 1; /* once: it may change meanwhile */
	hop = &r->hops[active];
	if (unlikely(hop->state != HOP_RESOLVED || is_sender(p, r)))
		return CHOSEN(id);
	ifindex = hop->ifindex;
	if (s->mode == LB_MODE_IPIP) {
		if (unlikely(p->ip_bytes + outer_bytes(s, r) > path_mtu(r, hop->mtu)))
			return CHOSEN(id);
		decrement_ttl(p);
		why = encapsulate(ctx, p, s, r, active, true, hash);
		if (unlikely(why != LB_OK))
			return counted(&by_reason, why, bytes, XDP_DROP);
	} else {
		if (unlikely(p->ip_bytes > hop->mtu))
			return CHOSEN(id);
		if (s->mode == LB_MODE_NAT)
			set_destination(p, r, true);
		copy12(p->eth, hop->destination);
	}
	return counted(&by_replica, id, bytes, leave(ctx, ifindex));
}

/* To a replica, IPv4 both, by the word of it. */
static __always_inline int forward_by_word(struct xdp_md *ctx, struct packet *p, struct service *s, __u64 bytes, __u32 id, __u32 hash)
{
	struct short_replica *r = ROW(short_replicas, id, REPLICAS_LAST);
	struct shared_hop *hop;
	__u32 address;
	enum lb_reason why;
	__u64 word;

	if (!r)
		return counted(&by_reason, LB_TABLE_FAULT, bytes, XDP_DROP);
	word = *(volatile __u64 *)r; /* once: it may change meanwhile */
	address = word;
	hop = ROWS(shared_hops) + (word >> 48); /* the first row if there is none: no packet is short enough for its MTU */
	if (unlikely(address == load32(p->flow.source)))
		return CHOSEN(id);
	if (s->mode == LB_MODE_IPIP) {
		if (unlikely(p->ip_bytes + sizeof(struct iphdr) + s->udp_bytes > hop->hop.mtu))
			return CHOSEN(id);
		decrement_ttl(p);
		why = encapsulate_v4(ctx, p, s, hop->hop.destination, load32(hop->tunnel_source), address, true, hash);
		if (unlikely(why != LB_OK))
			return counted(&by_reason, why, bytes, XDP_DROP);
	} else {
		if (unlikely(p->ip_bytes > hop->hop.mtu))
			return CHOSEN(id);
		if (s->mode == LB_MODE_NAT)
			set_destination_v4(p, word, word >> 32);
		copy12(p->eth, hop->hop.destination);
	}
	return counted(&by_replica, id, bytes, leave(ctx, hop->hop.ifindex));
}

/* Returns the id of the replica, or less than 0: why there is none. A call, for what it needs on the stack. */
static __noinline int pick_any(struct xdp_md *ctx, const struct service *s, bool is_v6)
{
	enum lb_reason why = LB_TABLE_FAULT;
	__u32 id = REPLICA_NONE, hash;
	struct packet p = {};
	__u64 bytes;

	if (likely(read_plain(ctx, &p, &bytes, is_v6)))
		why = pick(s, &p, true, false, &id, &hash);
	return why == LB_OK ? (int)(id & REPLICA_ID) : -1 - (int)why;
}

/* To a replica. */
static __always_inline int forward_plain(struct xdp_md *ctx, struct packet *p, struct service *s, __u64 bytes, bool is_v6)
{
	__u32 hash, id = REPLICA_NONE;
	int picked;

	if (unlikely(is_martian(p) || (ttl(p) <= 1 && s->mode != LB_MODE_DSR)))
		return UNDECIDED;
	reread_plain(p);
	if (unlikely(!pick_quickly(s, p, &id, &hash))) {
		picked = pick_any(ctx, s, is_v6);
		if (picked < 0) /* for good: what pick() takes it takes once */
			return counted(&by_reason, -1 - picked, bytes, XDP_DROP);
		id = picked;
	}
	reread_plain(p);
	return is_v6 ? forward_by_row(ctx, p, s, bytes, id, hash) : forward_by_word(ctx, p, s, bytes, id, hash);
}

/* To a client. */
static __always_inline int return_plain(struct xdp_md *ctx, struct packet *p, struct rev_nat *n, __u32 replica, __u64 bytes,
					bool is_v6)
{
	struct client_route route;

	reread_plain(p);
	if (unlikely(p->tcp & (TCP_FIN | TCP_RST) || ttl(p) <= 1))
		return UNDECIDED;
	if (n->flags & REV_NAT_RECORDED && !is_plain_answer(p, n, replica, is_v6))
		return UNDECIDED;
	reread_plain(p);
	if (unlikely(route_to_client(ctx, p, n->address, &route) != BPF_FIB_LKUP_RET_SUCCESS))
		return UNDECIDED;
	reread_plain(p);
	set_source(p, n, true);
	copy12(p->eth, route.macs);
	return counted(&by_reason, LB_RETURNED, bytes, leave(ctx, route.ifindex));
}

static __always_inline int balance_plain(struct xdp_md *ctx, bool is_v6)
{
	struct packet p = {};
	enum lb_reason why;
	struct service *s;
	struct rev_nat *n;
	__u32 replica;
	__u64 bytes;

	if (unlikely(!read_plain(ctx, &p, &bytes, is_v6)))
		return UNDECIDED;
	s = service_of(&p);
	if (likely(s))
		return forward_plain(ctx, &p, s, bytes, is_v6);
	n = find_rev_nat(&p.flow, &replica);
	if (likely(n))
		return return_plain(ctx, &p, n, replica, bytes, is_v6);
	why = unlikely(is_vip(p.flow.destination, is_v6)) ? settle_any(ctx, LB_NOT_OURS) : LB_NOT_OURS;
	return counted(&by_reason, why, bytes, action_of(why));
}

/* Returns a verdict, or one of the results above. */
static __always_inline int try_plain(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)eth + PLAIN_BYTES_V4 > (void *)(long)ctx->data_end)
		return UNDECIDED;
	if (likely(is_plain_v4(eth)))
		return balance_plain(ctx, false);
	return is_plain_v6(eth) ? balance_plain(ctx, true) : UNDECIDED;
}
