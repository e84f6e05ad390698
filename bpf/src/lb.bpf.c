/* The load balancer: a table of contents with one exit.
 *
 * A packet to a VIP goes to a replica, a replica's answer goes back as the
 * VIP's, everything else goes up to the kernel untouched. Each packet ends in
 * exactly one reason, which is counted and decides the verdict.
 *
 * Look-ups of a forwarded packet, all of them into arrays and compiled to loads:
 * bucket, service, slot, replica; and one per-CPU counter. No call is made but bpf_redirect.
 * One more, into the records of flows, where a change of the replicas made it necessary.
 * An answer of a replica: buckets of service and origin, origin, way, counter; the kernel's FIB
 * is asked some times a second for each client.
 */
#include "lb.h"
#include "maps.h"
#include "parse.h"
#include "find.h"
#include "fragments.h"
#include "pick.h"
#include "rewrite.h"
#include "quote.h"
#include "answer.h"
#include "back.h"
#include "leave.h"
#include "monitor.h"

/* What was found out about a packet on its way through the pipeline. */
struct way {
	struct service *service; /* set: towards a replica */
	struct origin *origin;	 /* set: back to a client */
	struct choice to;
	struct quote quote; /* of an ICMP error */
	bool error;
	__u32 hash;
	__u32 ifindex; /* the way out */
	__u32 mtu;     /* of it, as far as it is left for the packet */
};

static __always_inline enum lb_reason find(const struct packet *p, struct way *w)
{
	w->service = find_service(&p->flow);
	if (likely(w->service))
		return LB_OK;
	w->origin = find_origin(&p->flow);
	return w->origin ? LB_OK : LB_NOT_OURS;
}

/* ICMP: an echo that is answered, or an error about a flow, which becomes the packet's. */
static __always_inline enum lb_reason read_icmp(struct xdp_md *ctx, struct packet *p, struct way *w)
{
	void *end = (void *)(long)ctx->data_end;

	if (is_echo_request(p)) {
		if (!p->plain || !is_host(p->flow.source, p->flow.is_v6) ||
		    !is_vip(p->flow.destination, p->flow.is_v6))
			return LB_NOT_TCP_UDP;
		answer_echo(p);
		w->ifindex = ingress(ctx);
		return LB_ECHO_ANSWERED;
	}
	if (!is_error(p) || !read_quote(p, &w->quote, end))
		return LB_NOT_TCP_UDP;
	w->error = true;
	return LB_OK;
}

/* The flow of a packet that does not show it itself. */
static __always_inline enum lb_reason identify(struct xdp_md *ctx, struct packet *p, struct way *w)
{
	if (p->part == LATER)
		return recall_fragment(p);
	if (unlikely(p->icmp))
		return read_icmp(ctx, p, w);
	return LB_OK;
}

static __always_inline bool is_sender(const struct packet *p, const struct replica *r)
{
	if (p->flow.is_v6)
		return load64(r->address + 8) == load64(p->flow.source + 8) &&
		       load64(r->address) == load64(p->flow.source);
	return load64(r->address + 8) == mapped_low(load32(p->flow.source)) && !load64(r->address);
}

static __always_inline enum lb_reason pick_replica(const struct packet *p, struct way *w)
{
	bool records = !w->error && p->part != LATER;
	enum lb_reason why = pick(w->service, &p->flow, p->fresh, records, &w->to, &w->hash);

	if (why == LB_OK && !w->error && is_sender(p, w->to.replica))
		return LB_HAIRPIN;
	return why;
}

/* Rewrites an ICMP error about a packet between client and VIP into one
 * about the same packet between client and replica. */
static __always_inline void error_to_replica(struct packet *p, struct way *w)
{
	struct replica *r = w->to.replica;
	__u16 ports = port_delta(w->service->vip.port, r->port);
	__u16 address = fold(r->l4_delta + (__u16)~ports);
	struct icmp *icmp = (void *)w->quote.ports;
	__u32 delta;

	icmp = p->l4;
	delta = requote(p, &w->quote, w->quote.source, w->quote.ports, r->address, r->port, address, ports);
	if (p->flow.is_v6) {
		copy16(&p->v6->daddr, r->address);
		delta += address; /* the pseudo header */
	} else {
		p->v4->daddr = mapped_v4(r->address);
		p->v4->check = adjust(p->v4->check, r->l3_delta);
	}
	icmp->check = adjust(icmp->check, delta);
}

/* The reverse, of an error that came from the replica's side. The sender is the replica or
 * a router on the way, which keeps its address. */
static __always_inline void error_to_client(struct packet *p, struct way *w, bool from_replica)
{
	struct origin *o = w->origin;
	__u16 ports = port_delta(o->replica.port, o->port);
	__u16 address = fold(o->l4_delta + (__u16)~ports);
	struct icmp *icmp = p->l4;
	__u32 delta;

	delta = requote(p, &w->quote, w->quote.destination, w->quote.ports + 2, o->address, o->port,
			address, ports);
	if (from_replica && p->flow.is_v6) {
		copy16(&p->v6->saddr, o->address);
		delta += address;
	} else if (from_replica) {
		p->v4->saddr = mapped_v4(o->address);
		p->v4->check = adjust(p->v4->check, o->l3_delta);
	}
	icmp->check = adjust(icmp->check, delta);
}

static __always_inline enum lb_reason forward(struct xdp_md *ctx, struct packet *p, struct way *w)
{
	struct replica *r = w->to.replica;
	struct hop *hop = &r->hops[r->which & 1];
	__u8 mode = w->service->mode;
	enum lb_reason sent = w->error ? LB_ERROR_FORWARDED : LB_FORWARDED, why;
	__u32 mtu = hop->mtu;
	bool same;

	if (hop->state == HOP_NONE)
		return LB_NO_ROUTE;
	if (unlikely(mode == LB_MODE_IPIP))
		mtu -= r->ip_version == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	w->mtu = mtu;
	if (p->ip_bytes > mtu)
		return LB_TOO_BIG;
	w->ifindex = hop->ifindex;
	same = hop->ifindex == ingress(ctx);
	if (likely(mode == LB_MODE_NAT)) {
		if (unlikely(w->error))
			error_to_replica(p, w);
		else
			set_destination(p, r);
		if (unlikely(hop->state == HOP_UNRESOLVED))
			return LB_NEIGHBOUR_MISSING;
		decrement_ttl(p);
	} else if (hop->state == HOP_UNRESOLVED) {
		return LB_NEIGHBOUR_PENDING;
	} else if (mode == LB_MODE_IPIP) {
		decrement_ttl(p);
		why = encapsulate(ctx, p, r, same, w->hash);
		return why == LB_OK ? sent : why;
	}
	why = set_link(ctx, p, hop->destination, same);
	return why == LB_OK ? sent : why;
}

/* Did the replica itself send the error that quotes a packet to it? */
static __always_inline bool from_replica(const struct packet *p, const struct origin *o)
{
	if (p->flow.is_v6)
		return load64(&p->v6->saddr) == load64(o->replica.address) &&
		       load64((void *)&p->v6->saddr + 8) == load64(o->replica.address + 8);
	return p->v4->saddr == mapped_v4(o->replica.address);
}

static __always_inline enum lb_reason give_back(struct xdp_md *ctx, struct packet *p,
						struct way *w)
{
	enum lb_reason why = LB_OK;
	struct back back;
	bool own = true;

	copy16(back.source, w->origin->address);
	if (unlikely(w->error)) {
		own = from_replica(p, w->origin);
		if (!own)
			map_address(back.source, p->flow.is_v6 ? (void *)&p->v6->saddr : (void *)&p->v4->saddr,
				    p->flow.is_v6);
	}
	switch (way_back(ctx, p, &back)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		break;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		why = LB_NEIGHBOUR_MISSING;
		break;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		w->mtu = back.mtu;
		return LB_TOO_BIG;
	default:
		return LB_NO_ROUTE;
	}
	if (unlikely(w->error))
		error_to_client(p, w, own);
	else
		set_source(p, w->origin);
	if (why != LB_OK)
		return why;
	decrement_ttl(p);
	w->ifindex = back.ifindex;
	why = set_link(ctx, p, back.macs, back.ifindex == ingress(ctx));
	if (why != LB_OK)
		return why;
	return w->error ? LB_ERROR_RETURNED : LB_RETURNED;
}

/* Tells the sender of a packet that is too big, if it is one to be told. */
static __always_inline enum lb_reason refuse(struct xdp_md *ctx, const struct packet *p, struct way *w)
{
	bool is_v6 = p->flow.is_v6;

	if (w->error || p->part == LATER || !is_host(p->flow.source, is_v6))
		return LB_TOO_BIG;
	if (!is_v6 && !(p->v4->frag_off & DONT_FRAGMENT))
		return LB_TOO_BIG;
	if (p->ip_bytes < (is_v6 ? QUOTE_V6 : QUOTE_V4))
		return LB_TOO_BIG;
	if (!answer_too_big(ctx, p->tag_bytes, is_v6, w->mtu))
		return LB_TOO_BIG;
	w->ifindex = ingress(ctx);
	return LB_TOO_BIG_ANSWERED;
}

static __always_inline enum lb_reason send(struct xdp_md *ctx, struct packet *p, struct way *w)
{
	enum lb_reason why;

	if (unlikely(p->part == FIRST))
		remember_fragment(p);
	if (ttl(p) <= 1 && !(w->service && w->service->mode == LB_MODE_DSR))
		return LB_TTL_EXPIRED;
	if (!w->service) {
		why = give_back(ctx, p, w);
	} else {
		why = pick_replica(p, w);
		if (likely(why == LB_OK))
			why = forward(ctx, p, w);
	}
	return unlikely(why == LB_TOO_BIG) ? refuse(ctx, p, w) : why;
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
	if (likely(why == LB_FORWARDED))
		add(&by_replica, w->to.id, bytes);
	else
		add(&by_reason, why, bytes);
}

static __always_inline int leave(struct xdp_md *ctx, __u32 ifindex)
{
	return ifindex == ingress(ctx) ? XDP_TX : bpf_redirect(ifindex, 0);
}

static __always_inline int verdict(struct xdp_md *ctx, enum lb_reason why, const struct way *w)
{
	switch (why) {
	case LB_FORWARDED:
	case LB_RETURNED:
	case LB_ERROR_FORWARDED:
	case LB_ERROR_RETURNED:
	case LB_ECHO_ANSWERED:
	case LB_TOO_BIG_ANSWERED:
		return leave(ctx, w->ifindex);
	case LB_NOT_OURS:
	case LB_NOT_IP:
	case LB_VLAN_TAGGED:
	case LB_NOT_TCP_UDP:
	case LB_IPV6_EXTENSION:
	case LB_TTL_EXPIRED:
	case LB_NEIGHBOUR_MISSING:
		return XDP_PASS;
	case LB_NEIGHBOUR_PENDING:
	case LB_MALFORMED_ETHERNET:
	case LB_MALFORMED_IP:
	case LB_MALFORMED_L4:
	case LB_FRAGMENT_ORPHAN:
	case LB_HAIRPIN:
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

/* Monitored is known at each call: of what it guards nothing is left in the program without. */
static __always_inline int balance(struct xdp_md *ctx, bool monitored)
{
	__u64 bytes = ctx->data_end - ctx->data;
	struct packet p = {};
	struct way w = {};
	enum lb_reason why;

	if (monitored)
		monitor_frame(ctx);
	why = parse(ctx, &p);
	if (why == LB_OK)
		why = identify(ctx, &p, &w);
	if (why == LB_OK)
		why = find(&p, &w);
	if (why == LB_OK)
		why = send(ctx, &p, &w);
	count(why, &w, bytes);
	if (monitored)
		monitor_reason(ctx, why, w.service, w.to.replica, w.origin);
	return verdict(ctx, why, &w);
}

SEC("xdp")
int lb(struct xdp_md *ctx)
{
	return balance(ctx, false);
}

/* Takes the place of lb while somebody watches. */
SEC("xdp")
int lb_monitored(struct xdp_md *ctx)
{
	return balance(ctx, true);
}

/* Keeps the enums in BTF, where Go reads them. */
const enum lb_reason *_reason __attribute__((unused));
const enum lb_hash *_hash __attribute__((unused));
const enum lb_mode *_mode __attribute__((unused));
const enum hop_state *_hop_state __attribute__((unused));
const enum replica_state *_replica_state __attribute__((unused));
const enum service_flag *_service_flag __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
