/* The load balancer: a table of contents with one exit.
 *
 * A packet to a VIP goes to a replica, a replica's answer goes back as the
 * VIP's, everything else goes up to the kernel untouched. Each packet ends in
 * exactly one reason, which is counted and decides the verdict.
 *
 * Look-ups of a forwarded packet, all of them into arrays and compiled to loads:
 * bucket, service, slot, replica; and three per-CPU counters. No call is made but bpf_redirect.
 */
#include "lb.h"
#include "maps.h"
#include "parse.h"
#include "find.h"
#include "hash.h"
#include "rewrite.h"

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

/* What was found out about a packet on its way through the pipeline. */
struct way {
	struct service *service; /* set: towards a replica */
	struct origin *origin;	 /* set: back to a client */
	struct replica *replica;
	__u32 replica_id;
	__u32 ifindex; /* the way out */
};

static __always_inline enum lb_reason find(const struct packet *p, struct way *w)
{
	w->service = find_service(p);
	if (w->service)
		return LB_OK;
	w->origin = find_origin(p);
	return w->origin ? LB_OK : LB_NOT_OURS;
}

static __always_inline enum lb_reason pick_replica(const struct packet *p, struct way *w)
{
	struct service *s = w->service;
	struct slot *slot;
	__u32 index;

	if (!s->size)
		return LB_NO_REPLICA;
	index = s->offset + hash(p, s) % s->size;
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot)
		return LB_TABLE_FAULT;
	w->replica_id = slot->current;
	w->replica = bpf_map_lookup_elem(&replicas, &w->replica_id);
	return w->replica ? LB_OK : LB_TABLE_FAULT;
}

static __always_inline enum lb_reason forward(struct packet *p, struct way *w)
{
	struct replica *r = w->replica;
	struct hop *hop = &r->hops[r->which & 1];

	if (hop->state == HOP_NONE)
		return LB_NO_ROUTE;
	if (p->ip_bytes > hop->mtu)
		return LB_TOO_BIG;
	set_destination(p, r);
	if (hop->state == HOP_UNRESOLVED)
		return LB_NEIGHBOUR_MISSING;
	decrement_ttl(p);
	copy12(p->eth, hop->destination); /* destination and source */
	w->ifindex = hop->ifindex;
	return LB_FORWARDED;
}

/* Asks the kernel for the way from the VIP to the client. */
static __always_inline long route(struct xdp_md *ctx, const struct packet *p,
				  const struct origin *o, struct bpf_fib_lookup *fib)
{
	fib->ifindex = ctx->ingress_ifindex;
	fib->tot_len = p->ip_bytes;
	fib->l4_protocol = p->l4.wire;
	if (p->is_v6) {
		fib->family = AF_INET6;
		copy16(fib->ipv6_src, o->address);
		copy16(fib->ipv6_dst, &p->v6->daddr);
	} else {
		fib->family = AF_INET;
		fib->ipv4_src = mapped_v4(o->address);
		fib->ipv4_dst = p->v4->daddr;
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

static __always_inline enum lb_reason give_back(struct xdp_md *ctx, struct packet *p,
						struct way *w)
{
	struct bpf_fib_lookup fib = {};

	switch (route(ctx, p, w->origin, &fib)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		break;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		set_source(p, w->origin);
		return LB_NEIGHBOUR_MISSING;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return LB_TOO_BIG;
	default:
		return LB_NO_ROUTE;
	}
	set_source(p, w->origin);
	decrement_ttl(p);
	__builtin_memcpy(p->eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(p->eth->h_source, fib.smac, ETH_ALEN);
	w->ifindex = fib.ifindex;
	return LB_RETURNED;
}

static __always_inline enum lb_reason send(struct xdp_md *ctx, struct packet *p, struct way *w)
{
	enum lb_reason why;

	if (ttl(p) <= 1)
		return LB_TTL_EXPIRED;
	if (!w->service)
		return give_back(ctx, p, w);
	why = pick_replica(p, w);
	return why == LB_OK ? forward(p, w) : why;
}

static __always_inline void add(void *counters, __u32 index, __u64 bytes)
{
	struct count *c = bpf_map_lookup_elem(counters, &index);

	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}

static __always_inline void count(enum lb_reason why, const struct way *w, __u64 bytes)
{
	add(&by_reason, why, bytes);
	if (why != LB_FORWARDED)
		return;
	add(&by_service, w->service->id, bytes);
	add(&by_replica, w->replica_id, bytes);
}

static __always_inline int leave(struct xdp_md *ctx, __u32 ifindex)
{
	return ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(ifindex, 0);
}

static __always_inline int verdict(struct xdp_md *ctx, enum lb_reason why, const struct way *w)
{
	switch (why) {
	case LB_FORWARDED:
	case LB_RETURNED:
		return leave(ctx, w->ifindex);
	case LB_NOT_OURS:
	case LB_NOT_IP:
	case LB_VLAN_TAGGED:
	case LB_NOT_TCP_UDP:
	case LB_FRAGMENT:
	case LB_IP_OPTIONS:
	case LB_IPV6_EXTENSION:
	case LB_TTL_EXPIRED:
	case LB_NEIGHBOUR_MISSING:
		return XDP_PASS;
	case LB_MALFORMED_ETHERNET:
	case LB_MALFORMED_IP:
	case LB_MALFORMED_L4:
	case LB_NO_REPLICA:
	case LB_NO_ROUTE:
	case LB_TOO_BIG:
	case LB_TABLE_FAULT:
	case LB_REASONS:
	case LB_OK:
		return XDP_DROP;
	}
	return XDP_ABORTED;
}

SEC("xdp")
int lb(struct xdp_md *ctx)
{
	__u64 bytes = ctx->data_end - ctx->data;
	struct packet p = {};
	struct way w = {};
	enum lb_reason why;

	why = parse(ctx, &p);
	if (why == LB_OK)
		why = find(&p, &w);
	if (why == LB_OK)
		why = send(ctx, &p, &w);
	count(why, &w, bytes);
	return verdict(ctx, why, &w);
}

/* Keeps the enums in BTF, where Go reads them. */
const enum lb_reason *_reason __attribute__((unused));
const enum lb_hash *_hash __attribute__((unused));
const enum hop_state *_hop_state __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
