/* ICMP errors about outer packets of mode ipip, which routers on the way to a replica send to us. As RFC 2003, section 4,
 * and RFC 2473, section 8, ask, the sender of the inner packet is told in its own protocol; and an error about the
 * length lowers what is taken for the MTU of the path to that replica. */
#pragma once

#include "find.h"
#include "pick.h"
#include "quote.h"
#include "answer.h"
#include "leave.h"
#include "fib_cache.h"

/* How long a path MTU is believed: 10 minutes, as the kernel does (net.ipv4.route.mtu_expires). In units of 2^30 ns. */
#define PATH_MTU_LIFE (600 * 1000000000ULL >> 30)

/* The least that is believed: IPv4 as the kernel does (net.ipv4.route.min_pmtu), IPv6 by RFC 8200, section 5. */
#define PATH_MTU_LEAST_V4 552
#define MTU_LEAST_V6 1280

/* What is left for an outer packet on the path to a replica. */
static __always_inline __u32 path_mtu(const struct replica *r, __u32 mtu)
{
	__u64 word = *(volatile __u64 *)&r->path_mtu;
	__u32 known = word & 0xffff;

	if (likely(!word) || known >= mtu || (bpf_ktime_get_ns() >> 30) - (word >> 16) > PATH_MTU_LIFE)
		return mtu;
	return known;
}

/* Where an error about an outer packet is in its frame. */
struct outer_error {
	struct icmp *icmp;
	void *ip;     /* of the error */
	void *inner;  /* in what it quotes */
	__u32 ports;  /* of UDP between them, or 0 */
	__u64 udp_sum; /* ... and the sum of its header */
	__u32 bytes;  /* of the ICMP message */
	__u32 quoted; /* of the inner packet */
	__u8 tag_bytes;
	bool outer_v6, inner_v6;
};

/* What is to become of it. The functions that do it follow each other, since the stack has no room for one that does
 * all. */
union relay_plan {
	__u64 word;
	struct {
		__u16 inner; /* offset in the frame */
		__u16 mtu;   /* that the sender of the inner packet is told; 0: that the replica is unreachable */
		__u8 inner_v6;
		__u8 why; /* enum lb_reason plus one; 0: the message is to be sent */
	};
};

/* Finds the inner packet behind UDP: its version says what it is. IPv6 does not travel in IPv4. */
static __always_inline bool open_udp(struct outer_error *e, void *end)
{
	struct udphdr *udp = e->inner;
	__u8 *inner = (void *)(udp + 1);

	if (e->quoted <= sizeof(*udp) || (void *)(inner + 1) > end)
		return false;
	e->ports = load32(udp);
	e->udp_sum = sum_words(udp, sizeof(*udp) / 4, 0);
	e->inner = inner;
	e->quoted -= sizeof(*udp);
	e->inner_v6 = decided(*inner >> 4 == 6);
	return e->inner_v6 ? e->outer_v6 : *inner >> 4 == 4;
}

/* Finds the inner packet in what is quoted. */
static __always_inline bool open_outer(struct outer_error *e, void *end)
{
	struct iphdr *v4 = (void *)(e->icmp + 1);
	struct ipv6hdr *v6 = (void *)(e->icmp + 1);
	__u32 bytes = e->bytes - sizeof(*e->icmp);

	if (e->outer_v6) {
		if (bytes < sizeof(*v6) || PAST_END(v6, end) || v6->version != 6)
			return false;
		e->inner_v6 = v6->nexthdr == IPPROTO_IPV6;
		e->inner = v6 + 1;
		e->quoted = bytes - sizeof(*v6);
		if (e->icmp->type == 4)
			return false;
		if (v6->nexthdr == IPPROTO_UDP)
			return open_udp(e, end);
		return v6->nexthdr == IPPROTO_IPIP || v6->nexthdr == IPPROTO_IPV6;
	}
	if (bytes < sizeof(*v4) || PAST_END(v4, end) || *(__u8 *)v4 != 0x45 || v4->frag_off & OFFSET)
		return false;
	e->inner = v4 + 1;
	e->quoted = bytes - sizeof(*v4);
	if (e->icmp->type != 3 && e->icmp->type != 11)
		return false;
	return v4->protocol == IPPROTO_UDP ? open_udp(e, end) : v4->protocol == IPPROTO_IPIP;
}

/* Is it about a packet that we sent to the replica: by its address and ours, and the ports of UDP? */
static __always_inline bool is_outer_to(const struct service *s, const struct replica *r, const struct outer_error *e,
					__u32 hash)
{
	const struct iphdr *v4 = (void *)(e->icmp + 1), *error_v4 = e->ip;
	const struct ipv6hdr *v6 = (void *)(e->icmp + 1), *error_v6 = e->ip;
	__u32 by_flow = spread(hash), ports = tunnel_sport(by_flow) | (__u32)load16(s->tunnel_port) << 16;
	bool outer_v6 = e->outer_v6;
	__u8 from[16], active = r->active_hop & 1;

	if ((r->ip_version == 6) != outer_v6 || e->ports != (s->udp_bytes ? ports : 0))
		return false;
	if (r->hops[active].state == HOP_NONE) /* we send nothing there, whatever sources there are */
		return false;
	if (!outer_v6)
		return v4->daddr == mapped_v4(r->address) && v4->saddr == error_v4->daddr &&
		       v4->saddr == tunnel_source_v4(s, mapped_v4(r->tunnel_source[active]), by_flow);
	tunnel_source_v6(from, s, r->tunnel_source[active], by_flow);
	return equal16(&v6->daddr, r->address) && equal16(&v6->saddr, from) && equal16(&v6->saddr, &error_v6->daddr);
}

/* Notes the MTU that an error about the length tells, and returns it. Packets look at the row from then on. */
static __always_inline __u32 lower_path_mtu(__u32 id, struct replica *r, struct icmp *icmp, bool outer_v6)
{
	__u32 now = path_mtu(r, r->hops[r->active_hop & 1].mtu), mtu = bpf_ntohl(icmp->rest);
	struct short_replica *brief;

	if (!outer_v6)
		mtu &= 0xffff;
	if (mtu < (outer_v6 ? MTU_LEAST_V6 : PATH_MTU_LEAST_V4))
		mtu = outer_v6 ? MTU_LEAST_V6 : PATH_MTU_LEAST_V4;
	if (mtu >= now)
		return now;
	*(volatile __u64 *)&r->path_mtu = (bpf_ktime_get_ns() >> 30) << 16 | mtu;
	brief = ROW(short_replicas, id, REPLICAS_LAST);
	if (brief)
		*(volatile __u16 *)&brief->hop = 0;
	return mtu;
}

static __always_inline bool is_about_length(const struct icmp *icmp, bool outer_v6)
{
	return outer_v6 ? icmp->type == 2 : icmp->type == 3 && icmp->code == 4;
}

/* The MTU that the sender of the inner packet is told, of an error about the length. */
static __always_inline __u32 inner_mtu(const struct service *s, __u32 id, struct replica *to, struct icmp *icmp, bool outer_v6,
				       bool inner_v6)
{
	__u32 mtu = lower_path_mtu(id, to, icmp, outer_v6) - outer_bytes(s, to);

	return inner_v6 && mtu < MTU_LEAST_V6 ? MTU_LEAST_V6 : mtu;
}

static __always_inline bool find_outer_error(struct xdp_md *ctx, struct outer_error *e, __u32 at, __u32 bytes, __u32 shape)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	e->icmp = data + (at & 0x1fff);
	e->bytes = bytes;
	e->tag_bytes = shape & 12;
	e->outer_v6 = decided(shape & 256);
	e->ip = data + ETH_HLEN + (shape & 12);
	if (at > 0x1fff || PAST_END(e->icmp, end) || PAST_END((struct iphdr *)e->ip, end))
		return false;
	return !e->outer_v6 || !PAST_END((struct ipv6hdr *)e->ip, end);
}

/* What one of the functions that deal with an error tells the next one. One of each CPU: the stack has no room for it. */
struct relay {
	/* The error about the inner packet, as its sender gets it: its headers, and where they go. */
	union {
		struct too_big_v4 v4; /* without the quotes */
		struct too_big_v6 v6;
	};
	__u8 link[ETH_HLEN + 8];
	__u32 cut; /* from the front of the frame */
	/* The flow of the inner packet. */
	__u8 source[16], destination[16]; /* IPv4 mapped */
	__u32 ports;
	struct l4_type l4;
	/* Where it goes. */
	__u32 replica, hash;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct relay);
	__uint(max_entries, 1);
} relays SEC(".maps");

static __always_inline struct relay *this_relay(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&relays, &zero);
}

static __always_inline struct tuple inner_flow(const struct relay *r, bool is_v6)
{
	__u32 from = is_v6 ? 0 : 12;
	struct tuple f = {
		.source = r->source + from,
		.destination = r->destination + from,
		.ports = r->ports,
		.l4 = r->l4,
		.is_v6 = is_v6,
	};

	return f;
}

/* Reads the flow of the packet in an outer one that an error is about. The error's ICMP header is at an offset in the frame,
 * and its message has so many bytes; `shape` is the length of the tags, and 256 for IPv6; `inner` a union dissection
 * of an inner IPv6 packet. Returns a union relay_plan. */
__noinline __u64 read_inner(struct xdp_md *ctx, __u32 at, __u32 bytes, __u32 shape, __u64 inner)
{
	union relay_plan plan = { .why = LB_NOT_TCP_UDP + 1 };
	void *end = (void *)(long)ctx->data_end;
	struct relay *r = this_relay();
	struct outer_error e = {};
	struct quote quote = {};
	struct packet p = {};

	if (!r || !find_outer_error(ctx, &e, at, bytes, shape) || !open_outer(&e, end))
		return plan.word;
	p.flow.is_v6 = e.inner_v6;
	if (!read_quoted(&p, &quote, e.inner, e.quoted, end, inner, false) || !is_host(quote.source, e.inner_v6))
		return plan.word;
	map_address(r->source, quote.source, e.inner_v6);
	map_address(r->destination, quote.destination, e.inner_v6);
	r->ports = p.flow.ports;
	r->l4 = p.flow.l4;
	plan.why = 0;
	plan.inner = distance((void *)(long)ctx->data, e.inner);
	plan.inner_v6 = e.inner_v6;
	return plan.word;
}

/* Picks the replica of that flow, as for its packets. Returns 0 if there is none. */
__noinline int pick_inner(__u32 is_v6)
{
	struct relay *r = this_relay();
	struct packet p = {};
	struct service *s;
	__u32 to;

	if (!r)
		return 0;
	p.flow = inner_flow(r, is_v6);
	s = find_service(&p.flow);
	if (!s || s->mode != LB_MODE_IPIP || pick(s, &p, false, true, &to, &r->hash) != LB_OK)
		return 0;
	r->replica = to;
	return 1;
}

/* Finds out whether the error is about one of our outer packets, and plans what becomes of it. `planned` is what read_inner
 * has returned. */
__noinline __u64 plan_relay(struct xdp_md *ctx, __u32 at, __u32 bytes, __u32 shape, __u64 planned)
{
	union relay_plan none = { .why = LB_NOT_TCP_UDP + 1 }, plan = { .word = planned };
	void *end = (void *)(long)ctx->data_end;
	struct relay *r = this_relay();
	struct outer_error e = {};
	struct replica *to;
	struct service *s;
	struct tuple f;

	if (!r || !find_outer_error(ctx, &e, at, bytes, shape) || !open_outer(&e, end))
		return none.word;
	if (e.inner_v6 && PAST_END((struct ipv6hdr *)e.inner, end))
		return none.word;
	f = inner_flow(r, e.inner_v6);
	s = find_service(&f);
	to = replica_at(r->replica);
	if (!s || !to || !is_outer_to(s, to, &e, r->hash))
		return none.word;
	if (!is_about_length(e.icmp, e.outer_v6))
		return plan.word;
	plan.mtu = inner_mtu(s, r->replica, to, e.icmp, e.outer_v6, e.inner_v6);
	if (e.inner_v6 && sizeof(struct ipv6hdr) + bpf_ntohs(((struct ipv6hdr *)e.inner)->payload_len) <= plan.mtu)
		plan.why = LB_TUNNEL_TOO_NARROW + 1;
	return plan.word;
}

/* The complement of the sum of what the relayed message does not have: its ICMP header, the outer header, UDP behind that,
 * and ICMPv6's pseudo header. */
static __always_inline __u16 removed(const struct outer_error *e)
{
	__u64 sum = load16(e->icmp) + (__u64)e->icmp->rest + e->udp_sum;

	if (!e->outer_v6)
		return checksum(sum_words(e->icmp + 1, sizeof(struct iphdr) / 4, sum));
	sum += bpf_htonl(e->bytes) + (__u64)bpf_htonl(IPPROTO_ICMPV6);
	sum = sum_words(&((struct ipv6hdr *)e->ip)->saddr, 8, sum);
	return checksum(sum_words(e->icmp + 1, sizeof(struct ipv6hdr) / 4, sum));
}

/* Its checksum follows from that of the error, so that the quote need not be read. */
static __always_inline void relay_v4(struct too_big_v4 *m, const struct outer_error *e, __u32 mtu)
{
	struct iphdr *inner = e->inner;

	m->icmp.type = 3;
	m->icmp.code = mtu ? 4 : 1; /* fragmentation needed, or host unreachable */
	m->icmp.check = 0;
	m->icmp.rest = bpf_htonl(mtu);
	m->icmp.check = adjust(e->icmp->check, removed(e) + (__u16)~checksum(sum_words(&m->icmp, 2, 0)));
	head_v4(&m->ip, inner->daddr, inner->saddr, sizeof(m->icmp) + e->quoted, IPPROTO_ICMP, TOS_ERROR);
}

static __always_inline void relay_v6(struct too_big_v6 *m, const struct outer_error *e, __u32 mtu)
{
	__u32 bytes = sizeof(m->icmp) + e->quoted;
	__u64 sum = bpf_htonl(bytes) + (__u64)bpf_htonl(IPPROTO_ICMPV6);
	struct ipv6hdr *inner = e->inner;

	head_v6(&m->ip, &inner->daddr, &inner->saddr, bytes, IPPROTO_ICMPV6);
	m->icmp.type = mtu ? 2 : 1;
	m->icmp.code = mtu ? 0 : 3; /* packet too big, or address unreachable */
	m->icmp.check = 0;
	m->icmp.rest = bpf_htonl(mtu);
	sum = sum_words(&m->icmp, 2, sum_words(&m->ip.saddr, 8, sum));
	m->icmp.check = adjust(e->icmp->check, removed(e) + (__u16)~checksum(sum));
}

/* The question how a message of so many bytes reaches the sender of the inner packet. */
static __always_inline struct bpf_fib_lookup *question_to_sender(struct xdp_md *ctx, const struct outer_error *e, __u32 bytes)
{
	struct ipv6hdr *v6 = e->inner;
	struct iphdr *v4 = e->inner;

	if (e->inner_v6)
		return fib_question(ctx, bytes, IPPROTO_ICMPV6, &v6->daddr, &v6->saddr, true);
	return fib_question(ctx, bytes, IPPROTO_ICMP, &v4->daddr, &v4->saddr, false);
}

/* The route of that message. */
static __always_inline enum lb_reason route_to_sender(struct xdp_md *ctx, struct bpf_fib_lookup *fib)
{
	switch (bpf_fib_lookup(ctx, fib, sizeof(*fib), 0)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		return LB_ERROR_RETURNED;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return LB_NEIGHBOUR_MISSING;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return LB_TOO_BIG;
	case BPF_FIB_LKUP_RET_NOT_FWDED: /* see return_to_client */
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return LB_FOR_THIS_HOST;
	}
	return LB_NO_ROUTE;
}

/* Puts the message in front of the inner packet, in place of everything before that. */
static __always_inline bool write_relay(struct xdp_md *ctx, const struct relay *r, bool is_v6, __u32 tags)
{
	__u32 head = (is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + sizeof(struct icmp);
	void *at, *end;

	if (bpf_xdp_adjust_head(ctx, r->cut))
		return false;
	at = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (at + ETH_HLEN + 8 + head > end)
		return false;
	copy12(at, r->link);
	at += 12;
	if (tags >= 4) {
		store32(at, load32(r->link + 12));
		at += 4;
	}
	if (tags == 8) {
		store32(at, load32(r->link + 16));
		at += 4;
	}
	store16(at, is_v6 ? L3_IPV6.wire : L3_IPV4.wire);
	if (is_v6)
		__builtin_memcpy(at + 2, &r->v6, sizeof(struct ipv6hdr) + sizeof(struct icmp));
	else
		__builtin_memcpy(at + 2, &r->v4, sizeof(struct iphdr) + sizeof(struct icmp));
	return true;
}

static __always_inline enum lb_reason relay(struct xdp_md *ctx, const struct outer_error *e, __u32 mtu, __u32 *ifindex)
{
	__u32 head = e->inner_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr), tags = e->tag_bytes;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct bpf_fib_lookup *fib = question_to_sender(ctx, e, head + sizeof(struct icmp) + e->quoted);
	struct relay *r = this_relay();
	enum lb_reason why;

	if (!r || !fib || data + sizeof(r->link) > end)
		return LB_TABLE_FAULT;
	why = route_to_sender(ctx, fib);
	if (why != LB_ERROR_RETURNED && why != LB_NEIGHBOUR_MISSING)
		return why;
	__builtin_memcpy(r->link, data, sizeof(r->link));
	if (why == LB_ERROR_RETURNED) {
		__builtin_memcpy(r->link, fib->dmac, ETH_ALEN);
		__builtin_memcpy(r->link + ETH_ALEN, fib->smac, ETH_ALEN);
		if (fib->ifindex != ingress(ctx))
			tags = 0;
	}
	*ifindex = fib->ifindex;
	r->cut = distance(data, e->inner) - (ETH_HLEN + tags + head + sizeof(struct icmp));
	if (e->inner_v6)
		relay_v6(&r->v6, e, mtu);
	else
		relay_v4(&r->v4, e, mtu);
	return write_relay(ctx, r, e->inner_v6, tags) ? why : LB_TABLE_FAULT;
}

/* Sends what plan_relay has planned. Returns the interface by which it leaves, and above that enum lb_reason plus one. */
__noinline __u64 send_relay(struct xdp_md *ctx, __u32 at, __u32 bytes, __u32 shape, __u64 planned)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	union relay_plan plan = { .word = planned };
	enum lb_reason why = LB_TABLE_FAULT;
	struct outer_error e = {};
	__u32 ifindex = 0;

	if (!find_outer_error(ctx, &e, at, bytes, shape) || !open_outer(&e, end))
		return 0;
	e.inner = data + (plan.inner & 0x3fff);
	e.inner_v6 = decided(plan.inner_v6);
	if (!PAST_END((struct iphdr *)e.inner, end) && (!e.inner_v6 || !PAST_END((struct ipv6hdr *)e.inner, end)))
		why = relay(ctx, &e, plan.mtu, &ifindex);
	return (__u64)(why + 1) << 32 | ifindex;
}
