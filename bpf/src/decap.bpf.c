/* The replica's side of mode ipip: decapsulates IPv4 in IPv4 (RFC 2003), IPv6 in IPv6 and IPv4 in
 * IPv6 (RFC 2473), with or without UDP between them (GUE, variant 1), and passes the inner packet up as if it had come in
 * on the interface. The machine needs no tunnel device for it.
 *
 * A packet that is not decapsulated is passed up untouched. Only packets that are addressed to us and
 * of no use to anybody are dropped. The first reason that applies decides, in the order of the headers:
 * link, outer packet, inner packet, congestion.
 */
#include "headers.h"

/* Why a packet met its verdict. Go names them in lower case without the prefix. */
enum decap_reason {
	DECAP_DECAPSULATED,	  /* the inner packet goes up */
	DECAP_NOT_IP,		  /* EtherType neither IPv4 nor IPv6 nor VLAN */
	DECAP_VLAN_TAGGED,	  /* more than two tags, 802.1Q or 802.1ad */
	DECAP_NOT_TUNNEL,	  /* carries no IP packet that we decapsulate */
	DECAP_NOT_LOCAL,	  /* the outer packet is to an address that is not one of ours */
	DECAP_OUTER_OPTIONS,	  /* the outer packet has options or an extension header */
	DECAP_OUTER_FRAGMENT,	  /* the outer packet is a fragment */
	DECAP_OUTER_CHECKSUM,	  /* the checksum of the outer IPv4 header is wrong, or UDP's is there: it is not verified */
	DECAP_NOT_VIP,		  /* the inner packet is to an address that is not allowed */
	DECAP_MALFORMED_ETHERNET, /* shorter than an Ethernet header and its tags */
	DECAP_MALFORMED_OUTER,	  /* outer IP header cut short or contradicting itself */
	DECAP_MALFORMED_INNER,	  /* inner IP header cut short or contradicting itself */
	DECAP_CONGESTED,	  /* the outer packet met congestion, and the inner one cannot carry the mark */
	DECAP_FAULT,		  /* the kernel did not remove the outer header: a bug */
	DECAP_REASONS,		  /* how many there are */
	DECAP_OK = -1,		  /* not decided yet; never counted */
};

/* An address as in a header: IPv4 is ::ffff:a.b.c.d. */
struct address {
	__u8 bytes[16];
	__u32 ip_version; /* 4 or 6: an IPv6 packet may carry a mapped address */
};

struct policy {
	__u32 any_vip; /* not 0: `vips` is not asked */
};

/* Our addresses: outer packets to them are decapsulated. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct address);
	__type(value, __u32);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} locals SEC(".maps");

/* The addresses that inner packets may have as their destination. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct address);
	__type(value, __u32);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vips SEC(".maps");

/* The UDP ports, in network order, on which packets come in UDP. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __be16);
	__type(value, __u32);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct policy);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} policies SEC(".maps");

/* By enum decap_reason, the frame as it came. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct count);
	__uint(max_entries, DECAP_REASONS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} by_reason SEC(".maps");

/* The congestion field of an IP header, RFC 3168, section 5. */
enum ecn { NOT_ECT, ECT_1, ECT_0, CE };

#define ECN_BITS 3

/* A packet in another one. Which headers they have are numbers: see struct packet. */
struct tunnel {
	void *outer;
	void *inner;
	__u32 bytes; /* from the inner header on, as the outer one says */
	__u8 tag_bytes;
	__u8 udp_bytes; /* of UDP's header between them, or 0 */
	bool outer_v6;
	bool inner_v6;
	enum ecn outer_ecn;
};

static __always_inline bool is_in(void *addresses, const void *address, bool is_v6)
{
	struct address key = { .ip_version = 6 };

	if (is_v6) {
		copy16(key.bytes, address);
	} else {
		store64(key.bytes + 8, mapped_low(load32(address)));
		key.ip_version = 4;
	}
	return bpf_map_lookup_elem(addresses, &key);
}

static __always_inline enum decap_reason find_outer(struct xdp_md *ctx, struct tunnel *t)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct l3_type type;

	if (PAST_END(eth, end))
		return DECAP_MALFORMED_ETHERNET;
	type.wire = eth->h_proto;
	t->outer = eth + 1;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct tag *tag = t->outer;

		if (likely(!is_tag(type)))
			break;
		if (PAST_END(tag, end))
			return DECAP_MALFORMED_ETHERNET;
		type.wire = tag->next;
		t->outer = tag + 1;
		t->tag_bytes += sizeof(*tag);
	}
	if (is_tag(type))
		return DECAP_VLAN_TAGGED;
	t->outer_v6 = l3_is(type, L3_IPV6);
	return t->outer_v6 || l3_is(type, L3_IPV4) ? DECAP_OK : DECAP_NOT_IP;
}

/* RFC 791: the ones' complement sum of a header with a correct checksum is all ones. */
static __always_inline bool is_sound(const struct iphdr *ip)
{
	__u32 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < sizeof(*ip); i += 2)
		sum += load16((void *)ip + i);
	return fold(sum) == 0xffff;
}

/* Is there UDP to a port on which packets come in it? */
static __always_inline bool is_tunnel_udp(const struct udphdr *udp, void *end)
{
	return !PAST_END(udp, end) && bpf_map_lookup_elem(&ports, &udp->dest);
}

/* Opens UDP. What is in it says by its version what it is; anything but IP is of another variant of GUE, and IPv6 does not
 * travel in IPv4. */
static __always_inline enum decap_reason open_udp(struct tunnel *t, void *end)
{
	struct udphdr *udp = t->inner;
	__u8 *inner = (void *)(udp + 1);
	__u32 bytes;

	if (PAST_END(udp, end))
		return DECAP_MALFORMED_OUTER;
	bytes = bpf_ntohs(udp->len);
	if (bytes < sizeof(*udp) || bytes > t->bytes)
		return DECAP_MALFORMED_OUTER;
	if (udp->check)
		return DECAP_OUTER_CHECKSUM;
	if (bytes == sizeof(*udp) || (void *)(inner + 1) > end)
		return DECAP_MALFORMED_INNER;
	t->inner_v6 = *inner >> 4 == 6;
	if (t->inner_v6 ? !t->outer_v6 : *inner >> 4 != 4)
		return DECAP_NOT_TUNNEL;
	t->inner = inner;
	t->udp_bytes = sizeof(*udp);
	t->bytes = bytes - sizeof(*udp);
	return DECAP_OK;
}

static __always_inline enum decap_reason open_v4(struct tunnel *t, void *end)
{
	struct iphdr *ip = t->outer;
	bool udp = false;
	__u32 bytes;

	if (PAST_END(ip, end) || ip->version != 4 || ip->ihl < 5)
		return DECAP_MALFORMED_OUTER;
	if (!l4_is((struct l4_type){ ip->protocol }, L4_IPV4)) {
		udp = l4_is((struct l4_type){ ip->protocol }, L4_UDP) && !(ip->frag_off & OFFSET);
		if (!udp || !is_tunnel_udp((void *)ip + ip->ihl * 4, end))
			return DECAP_NOT_TUNNEL;
	}
	if (!is_in(&locals, &ip->daddr, false))
		return DECAP_NOT_LOCAL;
	if (ip->ihl > 5)
		return DECAP_OUTER_OPTIONS;
	bytes = bpf_ntohs(ip->tot_len);
	if (bytes < sizeof(*ip) || bytes > end - (void *)ip)
		return DECAP_MALFORMED_OUTER;
	if (ip->frag_off & MORE_OR_OFFSET)
		return DECAP_OUTER_FRAGMENT;
	if (!is_sound(ip))
		return DECAP_OUTER_CHECKSUM;
	t->inner = ip + 1;
	t->bytes = bytes - sizeof(*ip);
	t->outer_ecn = ip->tos & ECN_BITS;
	return udp ? open_udp(t, end) : DECAP_OK;
}

static __always_inline bool is_ip(struct l4_type type)
{
	return l4_is(type, L4_IPV4) || l4_is(type, L4_IPV6);
}

/* An outer IPv6 packet with an extension header: is the inner packet behind that? All extension headers
 * begin with the number of the next one (RFC 8200, section 4). */
static __always_inline enum decap_reason look_behind(const struct ipv6hdr *ip, void *end)
{
	struct l4_type *next = (void *)(ip + 1);

	switch (ip->nexthdr) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
		break;
	default:
		return DECAP_NOT_TUNNEL;
	}
	if (PAST_END(next, end) || !is_ip(*next))
		return DECAP_NOT_TUNNEL;
	if (!is_in(&locals, &ip->daddr, true))
		return DECAP_NOT_LOCAL;
	return ip->nexthdr == IPPROTO_FRAGMENT ? DECAP_OUTER_FRAGMENT : DECAP_OUTER_OPTIONS;
}

static __always_inline enum ecn ecn_of_v6(const struct ipv6hdr *ip)
{
	return *((__u8 *)ip + 1) >> 4 & ECN_BITS; /* the traffic class is its bits 4 to 11 */
}

static __always_inline enum decap_reason open_v6(struct tunnel *t, void *end)
{
	struct ipv6hdr *ip = t->outer;
	struct l4_type next;
	bool udp;

	if (PAST_END(ip, end) || ip->version != 6)
		return DECAP_MALFORMED_OUTER;
	next.wire = ip->nexthdr;
	udp = l4_is(next, L4_UDP) && is_tunnel_udp((void *)(ip + 1), end);
	if (!udp && !is_ip(next))
		return look_behind(ip, end);
	if (!is_in(&locals, &ip->daddr, true))
		return DECAP_NOT_LOCAL;
	t->bytes = bpf_ntohs(ip->payload_len);
	if (t->bytes > end - (void *)(ip + 1))
		return DECAP_MALFORMED_OUTER;
	t->inner = ip + 1;
	t->inner_v6 = l4_is(next, L4_IPV6);
	t->outer_ecn = ecn_of_v6(ip);
	return udp ? open_udp(t, end) : DECAP_OK;
}

static __always_inline enum decap_reason open(struct xdp_md *ctx, struct tunnel *t)
{
	void *end = (void *)(long)ctx->data_end;

	return t->outer_v6 ? open_v6(t, end) : open_v4(t, end);
}

static __always_inline bool is_allowed(const void *address, bool is_v6)
{
	struct policy *p = bpf_map_lookup_elem(&policies, &(__u32){ 0 });

	return (p && p->any_vip) || is_in(&vips, address, is_v6);
}

static __always_inline enum decap_reason check_v4(const struct tunnel *t, void *end)
{
	struct iphdr *ip = t->inner;
	__u32 bytes;

	if (t->bytes < sizeof(*ip) || PAST_END(ip, end) || ip->version != 4 || ip->ihl < 5)
		return DECAP_MALFORMED_INNER;
	bytes = bpf_ntohs(ip->tot_len);
	if (bytes < ip->ihl * 4 || bytes > t->bytes)
		return DECAP_MALFORMED_INNER;
	return is_allowed(&ip->daddr, false) ? DECAP_OK : DECAP_NOT_VIP;
}

static __always_inline enum decap_reason check_v6(const struct tunnel *t, void *end)
{
	struct ipv6hdr *ip = t->inner;

	if (t->bytes < sizeof(*ip) || PAST_END(ip, end) || ip->version != 6)
		return DECAP_MALFORMED_INNER;
	if (sizeof(*ip) + bpf_ntohs(ip->payload_len) > t->bytes)
		return DECAP_MALFORMED_INNER;
	return is_allowed(&ip->daddr, true) ? DECAP_OK : DECAP_NOT_VIP;
}

static __always_inline enum decap_reason check(struct xdp_md *ctx, const struct tunnel *t)
{
	void *end = (void *)(long)ctx->data_end;

	return t->inner_v6 ? check_v6(t, end) : check_v4(t, end);
}

static __always_inline void set_ecn_v4(struct iphdr *ip, enum ecn ecn)
{
	__u16 was = load16(ip);
	__u8 tos = (ip->tos & ~ECN_BITS) | ecn;

	ip->tos = tos;
	ip->check = ~fold((__u16)~ip->check + (__u16)~was + load16(ip)); /* RFC 1624, equation 3 */
}

static __always_inline void set_ecn_v6(struct ipv6hdr *ip, enum ecn ecn)
{
	__u8 *class = (__u8 *)ip + 1;

	*class = (*class & ~(ECN_BITS << 4)) | ecn << 4;
}

/* RFC 6040, figure 4: merges the congestion mark of the outer packet into the inner one. */
static __always_inline enum decap_reason merge_ecn(const struct tunnel *t)
{
	enum ecn inner = t->inner_v6 ? ecn_of_v6(t->inner) : ((struct iphdr *)t->inner)->tos & ECN_BITS;
	enum ecn outer = t->outer_ecn;

	if (inner == NOT_ECT)
		return outer == CE ? DECAP_CONGESTED : DECAP_OK;
	if (likely(outer != CE && !(outer == ECT_1 && inner == ECT_0)))
		return DECAP_OK;
	if (t->inner_v6)
		set_ecn_v6(t->inner, outer);
	else if (inner != outer)
		set_ecn_v4(t->inner, outer);
	return DECAP_OK;
}

/* Removes the outer headers: moves the link header, with its tags, in front of the inner packet. */
static __always_inline enum decap_reason decapsulate(struct xdp_md *ctx, const struct tunnel *t)
{
	void *from = (void *)(long)ctx->data, *to, *end = (void *)(long)ctx->data_end;
	struct l3_type type = t->inner_v6 ? L3_IPV6 : L3_IPV4;
	__u32 words[5]; /* two addresses, two tags */

	if (from + sizeof(words) > end)
		return DECAP_FAULT;
	__builtin_memcpy(words, from, sizeof(words));
	if (bpf_xdp_adjust_head(ctx, (t->outer_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + t->udp_bytes))
		return DECAP_FAULT;
	to = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (to + sizeof(words) + sizeof(type) > end)
		return DECAP_FAULT;
	copy12(to, words);
	to += 12;
	if (t->tag_bytes >= 4) {
		store32(to, words[3]);
		to += 4;
	}
	if (t->tag_bytes == 8) {
		store32(to, words[4]);
		to += 4;
	}
	store16(to, type.wire);
	return DECAP_DECAPSULATED;
}

static __always_inline void count(enum decap_reason why, __u64 bytes)
{
	__u32 index = why;
	struct count *c = bpf_map_lookup_elem(&by_reason, &index);

	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}

static __always_inline int verdict(enum decap_reason why)
{
	switch (why) {
	case DECAP_DECAPSULATED:
	case DECAP_NOT_IP:
	case DECAP_VLAN_TAGGED:
	case DECAP_NOT_TUNNEL:
	case DECAP_NOT_LOCAL:
	case DECAP_OUTER_OPTIONS:
	case DECAP_OUTER_FRAGMENT:
	case DECAP_OUTER_CHECKSUM:
	case DECAP_NOT_VIP:
	case DECAP_MALFORMED_ETHERNET:
	case DECAP_MALFORMED_OUTER:
		return XDP_PASS;
	case DECAP_MALFORMED_INNER:
	case DECAP_CONGESTED:
	case DECAP_FAULT:
	case DECAP_REASONS:
	case DECAP_OK:
		return XDP_DROP;
	}
	return XDP_ABORTED;
}

SEC("xdp")
int lb_decap(struct xdp_md *ctx)
{
	__u64 bytes = ctx->data_end - ctx->data;
	struct tunnel t = {};
	enum decap_reason why;

	why = find_outer(ctx, &t);
	if (why == DECAP_OK)
		why = open(ctx, &t);
	if (why == DECAP_OK)
		why = check(ctx, &t);
	if (why == DECAP_OK)
		why = merge_ecn(&t);
	if (why == DECAP_OK)
		why = decapsulate(ctx, &t);
	count(why, bytes);
	return verdict(why);
}

/* Keeps the enum in BTF, where Go reads it. */
const enum decap_reason *_reason __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
