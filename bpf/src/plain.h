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

static __always_inline bool parse_plain(struct packet *p, void *end, bool is_v6)
{
	if (is_v6)
		return is_plain_v6(p->eth, end) && parse_plain_v6(p, (void *)(p->eth + 1), end) == LB_OK;
	return is_plain_v4(p->eth, end) && parse_plain_v4(p, (void *)(p->eth + 1), end) == LB_OK && !p->icmp;
}

/* Has what is known of a parsed IPv4 packet read from it again, where it is needed: a load from the frame is cheaper than a store to the
 * stack and a load from there. */
static __always_inline void reread_v4(struct packet *p)
{
	asm("" : "+r"(p->eth)); /* for all that the compiler knows it is another one */
	view_plain_v4(p);
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
	struct short_replica *r = ROW(short_replicas, id, replicas_last);
	struct shared_hop *hop;
	__u32 address, ifindex;
	enum lb_reason why;
	__u64 word;

	if (!r)
		return counted(&by_reason, LB_TABLE_FAULT, bytes, XDP_DROP);
	word = *(volatile __u64 *)r; /* once: it may change meanwhile */
	address = word;
	hop = ROWS(shared_hops) + (word >> 48); /* the first row if there is none: no packet is short enough for its MTU */
	if (unlikely(address == load32(p->flow.source)))
		return CHOSEN(id);
	ifindex = hop->hop.ifindex;
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
			set_destination_v4(p, address, word >> 32);
		copy12(p->eth, hop->hop.destination);
	}
	return counted(&by_replica, id, bytes, leave(ctx, ifindex));
}

/* Returns the id of the replica, or less than 0: why there is none. A call, for what it needs on the stack. */
static __noinline int pick_any(struct xdp_md *ctx, const struct service *s, bool is_v6)
{
	struct packet p = { .eth = (void *)(long)ctx->data };
	enum lb_reason why = LB_TABLE_FAULT;
	__u32 id = REPLICA_NONE, hash;

	if (likely(parse_plain(&p, (void *)(long)ctx->data_end, is_v6)))
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
	if (!is_v6)
		reread_v4(p);
	if (unlikely(!pick_quickly(s, p, &id, &hash))) {
		picked = pick_any(ctx, s, is_v6);
		if (picked < 0) /* for good: what pick() takes it takes once */
			return counted(&by_reason, -1 - picked, bytes, XDP_DROP);
		id = picked;
	}
	return is_v6 ? forward_by_row(ctx, p, s, bytes, id, hash) : forward_by_word(ctx, p, s, bytes, id, hash);
}

/* To a client. */
static __always_inline int return_plain(struct xdp_md *ctx, struct packet *p, struct rev_nat *n, __u32 replica, __u64 bytes,
					bool is_v6)
{
	struct client_route route;

	if (!is_v6)
		reread_v4(p);
	if (unlikely(p->tcp & (TCP_FIN | TCP_RST) || ttl(p) <= 1 ||
		     (n->flags & REV_NAT_RECORDED && !is_plain_answer(p, n, replica, is_v6)) ||
		     route_to_client(ctx, p, n->address, &route) != BPF_FIB_LKUP_RET_SUCCESS))
		return UNDECIDED;
	set_source(p, n, true);
	copy12(p->eth, route.macs);
	return counted(&by_reason, LB_RETURNED, bytes, leave(ctx, route.ifindex));
}

static __always_inline int balance_plain(struct xdp_md *ctx, bool is_v6)
{
	void *end = (void *)(long)ctx->data_end;
	struct packet p = { .eth = (void *)(long)ctx->data };
	__u64 bytes = end - (void *)p.eth;
	enum lb_reason why;
	struct service *s;
	struct rev_nat *n;
	__u32 replica;

	if (unlikely(!parse_plain(&p, end, is_v6)))
		return UNDECIDED;
	s = find_service(&p.flow);
	if (likely(s))
		return forward_plain(ctx, &p, s, bytes, is_v6);
	n = find_rev_nat(&p.flow, &replica);
	if (likely(n))
		return return_plain(ctx, &p, n, replica, bytes, is_v6);
	why = unlikely(is_vip(p.flow.destination, is_v6)) ? settle_any(ctx, LB_NOT_OURS) : LB_NOT_OURS;
	return counted(&by_reason, why, bytes, action_of(why));
}

static __always_inline int balance_plain_v4(struct xdp_md *ctx)
{
	return balance_plain(ctx, false);
}

__noinline int balance_plain_v6(struct xdp_md *ctx)
{
	return balance_plain(ctx, true);
}

/* Returns a verdict, or one of the results above. */
static __always_inline int try_plain(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct l3_type type;

	if (PAST_END(eth, (void *)(long)ctx->data_end))
		return UNDECIDED;
	type.wire = load16(&eth->h_proto);
	if (likely(l3_is(type, L3_IPV4)))
		return balance_plain_v4(ctx);
	return l3_is(type, L3_IPV6) ? balance_plain_v6(ctx) : UNDECIDED;
}
