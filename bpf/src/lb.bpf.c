/* The load balancer. Most packets take the short path of plain.h: it does what the walk does, for packets that need little.
 * The walk of a packet, from wire to wire, is the body of balance() below:
 *
 *   parse     parse.h, dissect.h    headers, 4-tuple
 *   identify  fragments.h, quote.h  the flow of a later fragment or of an ICMP error
 *   find      find.h, nat_flow.h    the service by its VIP, else the reverse NAT entry by the replica, and
 *                                   where all flows are recorded the flow's record
 *   send      pick.h, records.h     to a replica: slot, owner or previous owner, or the flow's record;
 *             limits.h              where the service has them: source ranges, rates
 *             rewrite.h, leave.h    new addresses, or an outer header; next hop
 *             spread.h              what differs by flow in the outer header
 *             fib_cache.h           to a client: the VIP as source, the route from the kernel's FIB
 *             answer.h              "packet too big", to the sender
 *   relay     tunnel.h              an ICMP error about an outer packet: to the sender of the inner one
 *   settle    unclaimed.h           what was not found, or is malformed: ours by its addresses?
 *             reject.h              a reset or an ICMP error to its sender, where that is asked for
 *   count     maps.h                by replica, or by reason
 *   verdict   verdict.h             one reason, one XDP action
 *
 * A packet to a VIP goes to a replica. The answer of a replica goes to the client, with the VIP as
 * its source. Everything else is passed to the kernel untouched. Each packet ends in exactly one
 * reason.
 *
 * A forwarded packet reads bucket, service, slot, replica, next hop, and counts in one per-CPU counter. All but the counter are
 * flat tables (maps.h); the kernel is called for bpf_redirect alone. Of slot and replica it
 * reads 2 and 8 bytes, most of the time: where there are many, what counts is how many of them a cache holds. A slot in
 * transition costs one load more, of a line of records. An answer reads the buckets of service and reverse
 * NAT, the entry, the FIB cache, and counts; the kernel's FIB is asked some times a second for each
 * client.
 *
 * What most IPv4 packets need is inlined in lb(): where the kernel guards returns against speculation (retbleed, SRSO) each return is
 * mispredicted, and a call of a function costs as much as forty instructions. Its stack is small for that: it is below all that it calls, and
 * kernels allow 512 bytes to them together, some counting each function's by 32.
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
#include "fib_cache.h"
#include "unclaimed.h"
#include "leave.h"
#include "tunnel.h"
#include "plain.h"
#include "monitor.h"

/* What has been decided about a packet so far. */
struct decision {
	struct service *service; /* set: towards a replica */
	struct rev_nat *rev_nat; /* set: back to a client */
	__u32 from;		 /* number of that row: id of the replica */
	__u32 to;		 /* the replica's id: from the beginning where plain.h has chosen, else REPLICA_NONE at first */
	struct replica *replica;
	struct quote quote; /* of an ICMP error */
	bool error;
	__u32 hash;
	__u32 ifindex; /* by which it leaves */
	union {
		__u32 mtu;     /* left for the packet there, without an outer header */
		__u16 partial; /* of a super-packet that is passed: its checksum as it came */
	};
};

/* Is a packet from a replica's address and port an answer, and by which VIP? Where not all flows are recorded each one is.
 * Notes in the record of the flow that it goes on, or that the replica has closed it. */
static __always_inline bool find_flow(const struct packet *p, struct decision *d)
{
	bool by_record = d->rev_nat->flags & REV_NAT_RECORDED;
	const void *to = p->flow.destination;
	struct endpoint_key client;
	union peer peer;
	__u32 row;
	int evidence;

	if (likely(!by_record && !(p->tcp & (TCP_FIN | TCP_RST))))
		return true;
	client = endpoint_key(to, p->flow.is_v6, 0, p->flow.l4);
	peer = peer_of(p, p->flow.ports >> 16);
	peer.refreshes = !d->error && p->part != LATER;
	evidence = check_record(client.high, client.low, peer.word, d->from);
	if (likely(evidence == WITH_IT) || !by_record)
		return true;
	asm("" : "+r"(to)); /* read again, rather than kept meanwhile */
	client = endpoint_key(to, p->flow.is_v6, 0, p->flow.l4);
	row = find_answered(client.high, client.low, peer.word, d->from, evidence);
	if (!row--)
		return false;
	d->from = row; /* whose address is not taken, else all of d would be in memory */
	d->rev_nat = ROW(rev_nats, row, REPLICAS_LAST);
	return d->rev_nat;
}

/* Counts a reset in the answer of a replica. One that answers a SYN has an ACK and the sequence number 0 (RFC 9293, section
 * 3.10.7.1); in a flow that has begun that is the number of one packet in 2^32. */
__noinline int count_reset(__u32 replica, __u32 refuses)
{
	struct flow_count *c = bpf_map_lookup_elem(&flow_counts, &replica);

	if (c) {
		c->resets++;
		c->refusals += refuses & 1;
	}
	return 0;
}

static __always_inline bool refuses(struct xdp_md *ctx, const struct packet *p)
{
	return !PAST_END((struct tcphdr *)p->l4, (void *)(long)ctx->data_end) && p->tcp & TCP_ACK && !load32(p->l4 + 4);
}

static __always_inline enum lb_reason find(struct xdp_md *ctx, const struct packet *p, struct decision *d, bool monitored)
{
	d->service = find_service(&p->flow);
	if (likely(d->service)) {
		if (monitored)
			monitor_service(d->service);
		return unlikely(is_martian(p)) ? LB_MARTIAN_SOURCE : LB_OK;
	}
	d->rev_nat = find_rev_nat(&p->flow, &d->from);
	if (d->rev_nat && find_flow(p, d)) {
		if (unlikely(p->tcp & TCP_RST))
			count_reset(d->from, refuses(ctx, p));
		if (monitored)
			monitor_answer(d->rev_nat);
		return LB_OK;
	}
	if (!d->error && unlikely(is_vip(p->flow.destination, p->flow.is_v6)))
		return settle_any(ctx, LB_NOT_OURS);
	return LB_NOT_OURS;
}

/* ICMP: answers an echo request to a VIP, or makes the flow that an error quotes that of the
 * packet. */
static __always_inline enum lb_reason read_icmp(struct xdp_md *ctx, struct packet *p, struct decision *d)
{
	void *end = (void *)(long)ctx->data_end;

	if (is_echo_request(p)) {
		if (!p->plain || !is_vip(p->flow.destination, p->flow.is_v6))
			return LB_NOT_TCP_UDP;
		if (is_martian(p))
			return LB_MARTIAN_SOURCE;
		answer_echo(p);
		d->ifindex = ingress(ctx);
		return LB_ECHO_ANSWERED;
	}
	if (!is_error(p))
		return LB_NOT_TCP_UDP;
	d->error = true;
	return read_quote(ctx, p, &d->quote, end) ? LB_OK : LB_NOT_TCP_UDP;
}

/* Finds the flow of a packet that does not carry it in its own headers. */
static __always_inline enum lb_reason identify(struct xdp_md *ctx, struct packet *p, struct decision *d)
{
	if (p->part == LATER)
		return recall_fragment(p);
	if (unlikely(p->icmp))
		return read_icmp(ctx, p, d);
	return LB_OK;
}

/* The length of UDP's header behind that of IPv6 in a quote, 0 if that carries something else. */
static __always_inline __u32 udp_in_quote(struct xdp_md *ctx, const struct packet *p)
{
	struct ipv6hdr *ip = p->l4 + sizeof(struct icmp);

	return !PAST_END(ip, (void *)(long)ctx->data_end) && ip->nexthdr == IPPROTO_UDP ? sizeof(struct udphdr) : 0;
}

/* Relays an error about an outer packet to the sender of the inner one. `found` is what an error ends in that is not about
 * one. */
static __always_inline enum lb_reason relay_error(struct xdp_md *ctx, struct packet *p, struct decision *d,
						  enum lb_reason found)
{
	__u32 shape = p->tag_bytes | (p->flow.is_v6 ? 256 : 0), at = distance(p->eth, p->l4), why;
	__u32 headers = sizeof(struct icmp) + sizeof(struct ipv6hdr) + udp_in_quote(ctx, p);
	__u64 sent, inner = p->flow.is_v6 ? dissect_quote(ctx, at + headers, p->l4_bytes - headers) : 0;
	union relay_plan plan = { .word = read_inner(ctx, at, p->l4_bytes, shape, inner) };

	if (plan.why || !pick_inner(plan.inner_v6))
		return found;
	plan.word = plan_relay(ctx, at, p->l4_bytes, shape, plan.word);
	why = plan.why;
	if (why == LB_NOT_TCP_UDP + 1)
		return found;
	if (!why) {
		sent = send_relay(ctx, at, p->l4_bytes, shape, plan.word);
		d->ifindex = sent;
		why = sent >> 32;
	}
	barrier_var(why); /* one register, whose bounds the verifier keeps */
	return why && why <= LB_REASONS ? (enum lb_reason)(why - 1) : LB_TABLE_FAULT;
}

static __always_inline enum lb_reason pick_replica(const struct packet *p, struct decision *d,
						  bool monitored)
{
	bool records = !d->error && p->part != LATER;
	enum lb_reason why = LB_OK;

	if (unlikely(d->to != REPLICA_NONE))
		d->hash = hash(&p->flow, d->service->hash, d->service->seed);
	else
		why = pick(d->service, p, records, false, &d->to, &d->hash);
	d->replica = replica_at(d->to);
	if (monitored)
		monitor_replica(d->replica);
	if (unlikely(why != LB_OK))
		return why;
	if (!d->replica)
		return LB_TABLE_FAULT;
	return !d->error && is_sender(p, d->replica) ? LB_HAIRPIN : LB_OK;
}

/* Rewrites an ICMP error about a packet from the VIP into one about the same packet from the
 * replica, and sends it to the replica. */
static __always_inline void error_to_replica(struct packet *p, struct decision *d)
{
	struct replica *r = d->replica;
	__u16 ports = port_delta(d->service->vip.port, r->port);
	__u16 address = fold(r->l4_delta + (__u16)~ports);
	struct icmp *icmp = p->l4;
	__u32 delta;

	delta = requote(p, &d->quote, d->quote.source, 0, r->address, r->port, address, ports);
	if (p->flow.is_v6) {
		copy16(&p->v6->daddr, r->address);
		delta += address; /* the pseudo header */
	} else {
		p->v4->daddr = mapped_v4(r->address);
		p->v4->check = adjust(p->v4->check, r->l3_delta);
	}
	icmp->check = adjust(icmp->check, delta);
}

/* The reverse: an error from the replica's side about a packet to the replica becomes one about a
 * packet to the VIP. Its sender is the replica, which becomes the VIP, or a router, which stays. */
static __always_inline void error_to_client(struct packet *p, struct decision *d, bool from_replica)
{
	struct rev_nat *n = d->rev_nat;
	__u16 ports = port_delta(n->replica.port, n->port);
	__u16 address = fold(n->l4_delta + (__u16)~ports);
	struct icmp *icmp = p->l4;
	__u32 delta;

	delta = requote(p, &d->quote, d->quote.destination, 2, n->address, n->port,
			address, ports);
	if (from_replica && p->flow.is_v6) {
		copy16(&p->v6->saddr, n->address);
		delta += address;
	} else if (from_replica) {
		p->v4->saddr = mapped_v4(n->address);
		p->v4->check = adjust(p->v4->check, n->l3_delta);
	}
	icmp->check = adjust(icmp->check, delta);
}

/* Is it longer than the MTU of the interface that it came in on? Then it is a super-packet: a sender's kernel has left it
 * to the hardware to cut it into segments, or ours has put them together. XDP meets those in mode generic only, and
 * cannot see how long the segments are. */
static __always_inline bool is_super_packet(struct xdp_md *ctx, const struct packet *p)
{
	__u32 bytes = p->ip_bytes;

	return p->part == WHOLE && bpf_check_mtu(ctx, 0, &bytes, 0, 0) == BPF_MTU_CHK_RET_FRAG_NEEDED;
}

/* What becomes of a packet that is longer than the MTU of its route. In mode nat the kernel can send it in our place once
 * it is rewritten: it cuts super-packets and what may be fragmented, and IPv6 always has 1280 bytes. */
static __always_inline enum lb_reason too_big(struct xdp_md *ctx, const struct packet *p, struct decision *d, bool nat)
{
	if (!d->error && is_super_packet(ctx, p)) {
		d->partial = *p->check;
		return nat ? LB_SUPER_PACKET_PASSED : LB_SUPER_PACKET;
	}
	if (p->flow.is_v6 && p->ip_bytes <= MTU_LEAST_V6)
		return nat ? LB_TOO_BIG_PASSED : LB_TUNNEL_TOO_NARROW;
	if (nat && !p->flow.is_v6 && !(p->v4->frag_off & DONT_FRAGMENT))
		return LB_TOO_BIG_PASSED;
	return LB_TOO_BIG;
}

static __always_inline bool is_passed(enum lb_reason why)
{
	return why == LB_TOO_BIG_PASSED || why == LB_SUPER_PACKET_PASSED;
}

/* Writes the checksum of a rewritten super-packet. It is the sum of the pseudo header alone, not complemented: whoever
 * cuts the packet adds the rest. So the new address is added to it as it was. */
static __always_inline void set_partial(struct packet *p, const struct decision *d, __u16 l4_delta, __u16 ports)
{
	*p->check = fold(d->partial + fold(l4_delta + (__u16)~ports));
}

/* To a replica in an outer header. */
static __always_inline enum lb_reason forward_ipip(struct xdp_md *ctx, struct packet *p, struct decision *d,
						   struct replica *r, __u8 active)
{
	struct hop *hop = &r->hops[active];
	__u32 mtu = path_mtu(r, hop->mtu) - outer_bytes(d->service, r);
	enum lb_reason why;

	if (unlikely(hop->state == HOP_NONE))
		return LB_NO_ROUTE;
	if (unlikely(p->ip_bytes > mtu)) {
		d->mtu = mtu;
		return too_big(ctx, p, d, false);
	}
	if (unlikely(hop->state == HOP_UNRESOLVED))
		return LB_NEIGHBOUR_PENDING;
	d->ifindex = hop->ifindex;
	decrement_ttl(p);
	why = encapsulate(ctx, p, d->service, r, active, hop->ifindex == ingress(ctx), d->hash);
	if (unlikely(why != LB_OK))
		return why;
	return d->error ? LB_ERROR_FORWARDED : LB_FORWARDED;
}

/* To a replica in mode nat or dsr, whatever the packet needs. */
static __always_inline enum lb_reason forward_any(struct xdp_md *ctx, struct packet *p, struct decision *d,
						  struct replica *r, struct hop *hop)
{
	bool nat = d->service->mode == LB_MODE_NAT;
	enum lb_reason pass = LB_NEIGHBOUR_MISSING, why;
	__u32 state = hop->state;

	if (state == HOP_NONE)
		return LB_NO_ROUTE;
	if (unlikely(p->ip_bytes > hop->mtu)) {
		d->mtu = hop->mtu;
		pass = too_big(ctx, p, d, nat);
		if (!is_passed(pass))
			return pass;
		state = HOP_UNRESOLVED;
	}
	if (nat) {
		if (unlikely(d->error))
			error_to_replica(p, d);
		else
			set_destination(p, r, false);
		if (unlikely(state == HOP_UNRESOLVED)) {
			if (pass == LB_SUPER_PACKET_PASSED)
				set_partial(p, d, r->l4_delta, port_delta(d->service->vip.port, r->port));
			return pass;
		}
		decrement_ttl(p);
	} else if (state == HOP_UNRESOLVED) {
		return LB_NEIGHBOUR_PENDING;
	}
	d->ifindex = hop->ifindex;
	why = set_link(ctx, p, hop->destination, hop->ifindex == ingress(ctx));
	if (why != LB_OK)
		return why;
	return d->error ? LB_ERROR_FORWARDED : LB_FORWARDED;
}

/* To a replica. */
static __always_inline enum lb_reason forward(struct xdp_md *ctx, struct packet *p, struct decision *d)
{
	struct replica *r = d->replica;
	__u8 active = *(volatile __u8 *)&r->active_hop & 1; /* once: it may change meanwhile */
	struct hop *hop = &r->hops[active];

	if (d->service->mode == LB_MODE_IPIP)
		return forward_ipip(ctx, p, d, r, active);
	return forward_any(ctx, p, d, r, hop);
}

/* Did the replica itself send the error that quotes a packet to it? */
static __always_inline bool from_replica(const struct packet *p, const struct rev_nat *n)
{
	if (p->flow.is_v6)
		return load64(&p->v6->saddr) == load64(n->replica.address) &&
		       load64((void *)&p->v6->saddr + 8) == load64(n->replica.address + 8);
	return p->v4->saddr == mapped_v4(n->replica.address);
}

static __always_inline enum lb_reason return_to_client(struct xdp_md *ctx, struct packet *p,
						struct decision *d)
{
	enum lb_reason why = LB_OK;
	struct client_route route;
	__u8 source[16];
	bool own = true;

	copy16(source, d->rev_nat->address);
	if (unlikely(d->error)) {
		own = from_replica(p, d->rev_nat);
		if (!own)
			map_address(source, p->flow.is_v6 ? (void *)&p->v6->saddr : (void *)&p->v4->saddr,
				    p->flow.is_v6);
	}
	switch (route_to_client(ctx, p, source, &route)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		break;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		why = LB_NEIGHBOUR_MISSING;
		break;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		d->mtu = route.mtu;
		why = too_big(ctx, p, d, true);
		if (!is_passed(why))
			return why;
		break;
	case BPF_FIB_LKUP_RET_NOT_FWDED: /* local, broadcast, multicast; or no route, which the kernel says */
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return LB_FOR_THIS_HOST;
	default:
		return LB_NO_ROUTE;
	}
	if (unlikely(d->error))
		error_to_client(p, d, own);
	else
		set_source(p, d->rev_nat, false);
	if (unlikely(why != LB_OK)) {
		if (why == LB_SUPER_PACKET_PASSED)
			set_partial(p, d, d->rev_nat->l4_delta, port_delta(d->rev_nat->replica.port, d->rev_nat->port));
		return why;
	}
	decrement_ttl(p);
	d->ifindex = route.ifindex;
	why = set_link(ctx, p, route.macs, route.ifindex == ingress(ctx));
	if (why != LB_OK)
		return why;
	return d->error ? LB_ERROR_RETURNED : LB_RETURNED;
}

/* Answers a packet that is too big with the MTU, unless its sender must not be answered. */
static __always_inline enum lb_reason refuse(struct xdp_md *ctx, const struct packet *p, struct decision *d)
{
	bool is_v6 = p->flow.is_v6;

	if (d->error || p->part == LATER || !is_host(p->flow.source, is_v6))
		return LB_TOO_BIG;
	if (p->ip_bytes < (is_v6 ? QUOTE_V6 : QUOTE_V4))
		return LB_TOO_BIG;
	if (is_v6 && d->mtu < MTU_LEAST_V6)
		d->mtu = MTU_LEAST_V6;
	if (!answer_too_big(ctx, p->tag_bytes, is_v6, d->mtu))
		return LB_TOO_BIG;
	d->ifindex = ingress(ctx);
	return LB_TOO_BIG_ANSWERED;
}

static __always_inline enum lb_reason send(struct xdp_md *ctx, struct packet *p, struct decision *d,
					  bool monitored)
{
	enum lb_reason why;

	if (unlikely(p->part == FIRST))
		remember_fragment(p);
	if (ttl(p) <= 1 && !(d->service && d->service->mode == LB_MODE_DSR))
		return LB_TTL_EXPIRED;
	if (!d->service) {
		why = return_to_client(ctx, p, d);
	} else {
		why = pick_replica(p, d, monitored);
		if (likely(why == LB_OK))
			why = forward(ctx, p, d);
	}
	return unlikely(why == LB_TOO_BIG) ? refuse(ctx, p, d) : why;
}

static __always_inline void count(enum lb_reason why, const struct decision *d, __u64 bytes)
{
	if (likely(why == LB_FORWARDED))
		add(&by_replica, d->to, bytes);
	else
		add(&by_reason, why, bytes);
}

static __always_inline int verdict(struct xdp_md *ctx, enum lb_reason why, const struct decision *d)
{
	int action = action_of(why);

	return action == XDP_REDIRECT ? leave(ctx, d->ifindex) : action;
}

static __always_inline int finish(struct xdp_md *ctx, enum lb_reason why, const struct decision *d, __u64 bytes, bool monitored)
{
	count(why, d, bytes);
	if (monitored)
		monitor_reason(ctx, why);
	return verdict(ctx, why, d);
}

/* Results of balance() other than a verdict: the packet is an error that is about none of our flows, with the reason why. */
#define RELAY(why) (-1 - (int)(why))

/* `monitored` is a constant at each call, so that lb contains nothing of the monitoring. */
static __always_inline int balance(struct xdp_md *ctx, bool monitored, __u32 chosen)
{
	__u64 bytes = ctx->data_end - ctx->data;
	struct packet p = {};
	struct decision d = { .to = chosen };
	enum lb_reason why;

	if (monitored)
		monitor_frame(ctx);
	why = parse(ctx, &p);
	if (why == LB_OK)
		why = identify(ctx, &p, &d);
	if (why == LB_OK)
		why = find(ctx, &p, &d, monitored);
	if (likely(why == LB_OK))
		why = send(ctx, &p, &d, monitored);
	else if (d.error && (why == LB_NOT_TCP_UDP || why == LB_NOT_OURS))
		return RELAY(why);
	else
		why = settle(ctx, why);
	return finish(ctx, why, &d, bytes, monitored);
}

/* Ends the walk of an error that is about none of our flows: it may be about an outer packet of ours. */
static __always_inline int relay_or_settle(struct xdp_md *ctx, enum lb_reason why, bool monitored)
{
	__u64 bytes = ctx->data_end - ctx->data;
	struct decision d = {};
	struct packet p = {};

	if (parse(ctx, &p) == LB_OK)
		why = relay_error(ctx, &p, &d, why);
	if (why == LB_NOT_OURS || why == LB_NOT_TCP_UDP)
		why = settle_any(ctx, why);
	return finish(ctx, why, &d, bytes, monitored);
}

/* Functions that follow each other, rather than one within the other: the kernel allows 512 bytes of stack to all that have
 * been called and have not returned. */
__noinline int walk(struct xdp_md *ctx, __u32 chosen)
{
	return balance(ctx, false, chosen);
}

__noinline int walk_monitored(struct xdp_md *ctx)
{
	return balance(ctx, true, REPLICA_NONE);
}

__noinline int walk_error(struct xdp_md *ctx, int why)
{
	return relay_or_settle(ctx, why == LB_NOT_OURS ? LB_NOT_OURS : LB_NOT_TCP_UDP, false);
}

__noinline int walk_error_monitored(struct xdp_md *ctx, int why)
{
	return relay_or_settle(ctx, why == LB_NOT_OURS ? LB_NOT_OURS : LB_NOT_TCP_UDP, true);
}

SEC("xdp")
int lb(struct xdp_md *ctx)
{
	int result = try_plain(ctx);

	if (likely(result >= 0))
		return result;
	result = walk(ctx, CHOSEN(result));
	return result >= 0 ? result : walk_error(ctx, RELAY(result));
}

/* Replaces lb while there are monitors. */
SEC("xdp")
int lb_monitored(struct xdp_md *ctx)
{
	int result = walk_monitored(ctx);

	return result >= 0 ? result : walk_error_monitored(ctx, RELAY(result));
}

/* Keeps the enums, and a row that no map is declared with, in BTF, where Go reads them. */
const enum lb_reason *_reason __attribute__((unused));
const enum operand *_operand __attribute__((unused));
const enum lb_hash *_hash __attribute__((unused));
const enum lb_mode *_mode __attribute__((unused));
const enum hop_state *_hop_state __attribute__((unused));
const enum replica_state *_replica_state __attribute__((unused));
const enum service_flag *_service_flag __attribute__((unused));
const enum rev_nat_flag *_rev_nat_flag __attribute__((unused));
const struct address_row *_address_row __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
