/* Parsing: from a frame to a view of its headers, or the reason why there is none. */
#pragma once

#include "dissect.h"

/* A flow: that of the packet, or of the packet that an ICMP error quotes. The addresses point
 * into the frame, 4 or 16 bytes each. */
struct tuple {
	const void *source;
	const void *destination;
	__u32 ports; /* as on the wire: source, destination */
	struct l4_type l4;
	bool is_v6;
};

/* A parsed packet. flow.is_v6 says which of the two IP headers it has. A null pointer would not
 * do: the verifier does not tell packet pointers from null. */
struct packet {
	struct ethhdr *eth;
	union {
		struct iphdr *v4;
		struct ipv6hdr *v6;
	};
	void *l4;     /* TCP, UDP or ICMP; not of a later fragment */
	__u16 *check; /* of TCP or UDP; likewise */
	struct tuple flow;
	__u32 ip_bytes; /* length of the IP packet, header included */
	__u32 l4_bytes; /* of these, from the TCP, UDP or ICMP header on */
	__be32 fragment_id;
	enum part part;
	__u8 tag_bytes; /* of VLAN tags: 0, 4, 8 */
	bool plain;	/* neither options nor extension headers */
	bool is_tcp;	/* of a plain packet */
	bool icmp;
	__u16 tcp;	/* of TCP: data offset and flags; else 0 */
};

static __always_inline bool is_syn(const struct packet *p)
{
	return (p->tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Does a TCP packet carry data? */
static __always_inline bool has_data(const struct packet *p)
{
	return p->l4_bytes > tcp_header_bytes(p->tcp);
}

static __always_inline enum lb_reason parse_l4(struct packet *p, void *end)
{
	struct tcphdr *tcp = p->l4;
	struct udphdr *udp = p->l4;

	if (likely(l4_is(p->flow.l4, L4_TCP))) {
		__u32 header;

		if (p->l4_bytes < sizeof(*tcp) || PAST_END(tcp, end))
			return LB_MALFORMED_L4;
		p->tcp = load16((void *)tcp + 12);
		header = tcp_header_bytes(p->tcp);
		if (header < sizeof(*tcp) || header > p->l4_bytes)
			return LB_MALFORMED_L4;
		p->check = &tcp->check;
		p->flow.ports = load32(tcp);
		return LB_OK;
	}
	if (l4_is(p->flow.l4, L4_UDP)) {
		__u32 bytes;

		if (p->l4_bytes < sizeof(*udp) || PAST_END(udp, end))
			return LB_MALFORMED_L4;
		bytes = bpf_ntohs(udp->len); /* of all fragments together */
		if (bytes < sizeof(*udp) || (bytes > p->l4_bytes && p->part == WHOLE))
			return LB_MALFORMED_L4;
		p->check = &udp->check;
		p->flow.ports = load32(udp);
		return LB_OK;
	}
	if (l4_is(p->flow.l4, p->flow.is_v6 ? L4_ICMPV6 : L4_ICMP) && p->part == WHOLE) {
		if (p->l4_bytes < sizeof(struct icmp) || PAST_END((struct icmp *)p->l4, end))
			return LB_MALFORMED_L4;
		p->icmp = true;
		return LB_OK;
	}
	return LB_NOT_TCP_UDP;
}

/* The headers of a plain packet: Ethernet, IP and TCP. A shorter frame is not taken for one, though its UDP may be in order. */
#define PLAIN_BYTES_V4 (ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr))
#define PLAIN_BYTES_V6 (ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct tcphdr))

/* What follows the MAC addresses of a plain IPv4 packet, as it lies in memory: EtherType, version and length of the header. */
#define PLAIN_V4 (bpf_htons(ETH_P_IP) | 0x45 << 16)

/* ... of a plain IPv6 packet: EtherType and version. */
#define PLAIN_V6 (bpf_htons(ETH_P_IPV6) | 0x60 << 16)

static __always_inline bool is_plain_v4(const struct ethhdr *eth)
{
	return (load32(&eth->h_proto) & 0xffffff) == PLAIN_V4;
}

static __always_inline bool is_plain_v6(const struct ethhdr *eth)
{
	return (load32(&eth->h_proto) & 0xf0ffff) == PLAIN_V6;
}

/* What a plain packet says. */
static __always_inline void view_plain(struct packet *p, bool is_v6)
{
	p->v4 = (void *)(p->eth + 1);
	p->flow.is_v6 = is_v6;
	if (is_v6) {
		p->l4_bytes = bpf_ntohs(p->v6->payload_len);
		p->ip_bytes = p->l4_bytes + sizeof(*p->v6);
		p->flow.source = &p->v6->saddr;
		p->flow.destination = &p->v6->daddr;
		p->flow.l4.wire = p->v6->nexthdr;
		p->l4 = p->v6 + 1;
	} else {
		p->ip_bytes = bpf_ntohs(p->v4->tot_len);
		p->l4_bytes = p->ip_bytes - sizeof(*p->v4);
		p->flow.source = &p->v4->saddr;
		p->flow.destination = &p->v4->daddr;
		p->flow.l4.wire = p->v4->protocol;
		p->l4 = p->v4 + 1;
	}
	p->plain = true;
	p->flow.ports = load32(p->l4);
	p->is_tcp = l4_is(p->flow.l4, L4_TCP);
	p->check = p->l4 + (p->is_tcp ? 16 : 6);
	p->tcp = p->is_tcp ? load16(p->l4 + 12) : 0;
}

/* Has it read from the frame again, where it is needed: a load from there is cheaper than a store to the stack and a load
 * from that. */
static __always_inline void reread_plain(struct packet *p)
{
	asm("" : "+r"(p->eth)); /* for all that the compiler knows it is another one */
	view_plain(p, p->flow.is_v6);
}

/* Of a frame with the headers of one, of so many bytes: is it a plain packet in order, of TCP or UDP? */
static __always_inline bool parse_plain(struct packet *p, __u64 bytes, bool is_v6)
{
	__u32 ip, header, said;

	view_plain(p, is_v6);
	ip = p->l4 - (void *)p->v4;
	if (is_group(p->eth) | (is_v6 ? 0 : p->v4->frag_off & MORE_OR_OFFSET) || p->ip_bytes + ETH_HLEN > bytes)
		return false;
	if (likely(p->is_tcp)) {
		header = tcp_header_bytes(p->tcp);
		return header >= sizeof(struct tcphdr) && header + ip <= p->ip_bytes;
	}
	said = bpf_ntohs(((struct udphdr *)p->l4)->len);
	return l4_is(p->flow.l4, L4_UDP) && said >= sizeof(struct udphdr) && said + ip <= p->ip_bytes;
}

/* The dissection of a packet: of most that are not plain, IPv4 without tags, without a call. */
static __always_inline __u64 dissect_any(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	union dissection d = {};
	struct l3_type type;

	if (PAST_END(eth, end))
		return dissect(ctx);
	type.wire = load16(&eth->h_proto);
	if (!l3_is(type, L3_IPV4) || is_group(eth))
		return dissect(ctx);
	d.why = dissect_v4(&d, eth + 1, end) + 1;
	barrier_var(d.word);
	return d.word;
}

/* Any packet. */
static __always_inline enum lb_reason parse(struct xdp_md *ctx, struct packet *p)
{
	union dissection d = { .word = dissect_any(ctx) };
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end, *l3 = (void *)(eth + 1) + (d.tag_bytes & 12);
	struct fragment_header *f = l3 + (d.fragment & 0x3fff);
	__u32 part = d.part, why = d.why, is_v6 = d.is_v6;

	barrier_var(part); /* one register each, whose bounds the verifier keeps */
	barrier_var(why);
	barrier_var(is_v6);
	if (why)
		return why < LB_REASONS ? (enum lb_reason)(why - 1) : LB_TABLE_FAULT;
	if (PAST_END(eth, end) || (l3 + sizeof(struct ipv6hdr) > end && (is_v6 || l3 + sizeof(struct iphdr) > end)))
		return LB_MALFORMED_IP;
	p->eth = eth;
	p->tag_bytes = d.tag_bytes & 12;
	p->part = part;
	p->plain = d.plain;
	p->flow.l4.wire = d.protocol;
	p->l4 = l3 + (d.l4 & 0x3fff);
	if (is_v6) {
		p->v6 = l3;
		p->flow.is_v6 = true;
		p->flow.source = &p->v6->saddr;
		p->flow.destination = &p->v6->daddr;
		p->ip_bytes = sizeof(*p->v6) + bpf_ntohs(p->v6->payload_len);
		if (part != WHOLE) {
			if (PAST_END(f, end))
				return LB_MALFORMED_IP;
			p->fragment_id = f->id;
		}
	} else {
		p->v4 = l3;
		p->flow.source = &p->v4->saddr;
		p->flow.destination = &p->v4->daddr;
		p->ip_bytes = bpf_ntohs(p->v4->tot_len);
		p->fragment_id = p->v4->id;
	}
	p->l4_bytes = p->ip_bytes - (d.l4 & 0x3fff);
	return part == LATER ? LB_OK : parse_l4(p, end);
}
