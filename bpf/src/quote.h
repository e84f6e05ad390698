/* ICMP errors: which flow the quoted packet belongs to, and rewriting the quote as that packet
 * was rewritten. */
#pragma once

#include "rewrite.h"

/* The first bytes of a packet that somebody could not deliver. */
struct quote {
	__u8 *source, *destination; /* addresses, in the frame */
	__u16 *ip_check;	    /* of IPv4 */
	__u8 *ports; /* not of a later fragment */
	__u16 *check; /* of TCP or UDP, if it was quoted as far */
};

static __always_inline bool is_error(const struct packet *p)
{
	const struct icmp *icmp = p->l4;

	if (p->flow.is_v6)
		return icmp->type >= 1 && icmp->type <= 4;
	return icmp->type == 3 || icmp->type == 4 || icmp->type == 11 || icmp->type == 12;
}

static __always_inline bool quote_l4(struct packet *p, struct quote *q, void *l4, __u32 bytes,
				     __u8 protocol, void *end)
{
	__u32 check = protocol == IPPROTO_TCP ? 16 : 6;

	p->flow.l4.wire = protocol;
	if (!has_ports(p->flow.l4) || bytes < 8 || l4 + 8 > end)
		return false;
	q->ports = l4;
	p->flow.ports = load32(l4);
	if (bytes >= check + 2 && l4 + check + 2 <= end)
		q->check = l4 + check;
	return true;
}

static __always_inline bool quote_later(struct packet *p, __be32 id, bool recall)
{
	if (!recall)
		return false;
	p->fragment_id = id;
	return find_ports(p);
}

static __always_inline bool quote_v4(struct packet *p, struct quote *q, struct iphdr *ip, __u32 bytes, void *end,
				     bool recall)
{
	__u32 header;

	if (bytes < sizeof(*ip) || PAST_END(ip, end) || ip->version != 4 || ip->ihl < 5)
		return false;
	header = ip->ihl * 4;
	if (bytes < header)
		return false;
	p->flow.source = q->source = (__u8 *)&ip->saddr;
	p->flow.destination = q->destination = (__u8 *)&ip->daddr;
	q->ip_check = &ip->check;
	p->flow.l4.wire = ip->protocol;
	if (ip->frag_off & OFFSET)
		return quote_later(p, ip->id, recall);
	return quote_l4(p, q, (void *)ip + header, bytes - header, ip->protocol, end);
}

static __always_inline bool quote_v6(struct packet *p, struct quote *q, struct ipv6hdr *ip, __u32 bytes, void *end,
				     union dissection d, bool recall)
{
	struct fragment_header *f = (void *)ip + (d.fragment & 0x3fff);
	__u32 why = d.why, part = d.part, l4 = d.l4 & 0x3fff;

	barrier_var(part); /* see parse_dissected */
	barrier_var(why);
	barrier_var(l4);
	if (why || PAST_END(ip, end) || l4 > bytes)
		return false;
	p->flow.source = q->source = (__u8 *)&ip->saddr;
	p->flow.destination = q->destination = (__u8 *)&ip->daddr;
	if (part == LATER)
		return !PAST_END(f, end) && quote_later(p, f->id, recall);
	return quote_l4(p, q, (void *)ip + l4, bytes - l4, d.protocol, end);
}

/* Sets the flow of the packet to that of a packet that is quoted at l3, of which `bytes` are there. `word` is what
 * dissect_quote says of it, if it is IPv6; with `recall`, which is a constant, it may be a later fragment. */
static __always_inline bool read_quoted(struct packet *p, struct quote *q, void *l3, __u32 bytes, void *end, __u64 word,
					bool recall)
{
	union dissection d = { .word = word };

	return p->flow.is_v6 ? quote_v6(p, q, l3, bytes, end, d, recall) : quote_v4(p, q, l3, bytes, end, recall);
}

/* Sets the flow of an error to that which the receiver of the quoted packet sends. Errors go to the sender of what
 * they quote. */
static __always_inline bool read_quote(struct xdp_md *ctx, struct packet *p, struct quote *q, void *end)
{
	void *l3 = p->l4 + sizeof(struct icmp);
	__u32 bytes = p->l4_bytes - sizeof(struct icmp);
	__u64 word = p->flow.is_v6 ? dissect_quote(ctx, distance(p->eth, l3), bytes) : 0;

	if (l3 > end || !read_quoted(p, q, l3, bytes, end, word, true))
		return false;
	if (p->flow.is_v6 ? !equal16(q->source, &p->v6->daddr) : load32(q->source) != p->v4->daddr)
		return false;
	p->flow.source = q->destination;
	p->flow.destination = q->source;
	p->flow.ports = p->flow.ports << 16 | p->flow.ports >> 16;
	return true;
}

/* What a new port adds to the complement of a checksum. */
static __always_inline __u16 port_delta(const __u8 was[2], const __u8 is[2])
{
	return fold((__u16)~load16(was) + load16(is));
}

/* Gives one end of the quoted packet another address and port. Returns what that adds to the
 * complement of the ICMP checksum, which covers the quoted checksums, too. */
static __always_inline __u16 requote(struct packet *p, struct quote *q, void *address, int port_at,
				     const __u8 *to, const __u8 *to_port, __u16 address_delta,
				     __u16 ports_delta)
{
	__u32 l4_delta = address_delta + ports_delta, sum;
	__u16 was, is;

	/* In IPv4 the quoted header's checksum compensates for its address. */
	if (p->flow.is_v6) {
		copy16(address, to);
		sum = address_delta;
	} else {
		store32(address, mapped_v4(to));
		*q->ip_check = adjust(*q->ip_check, address_delta);
		sum = 0;
	}
	if (!q->ports)
		return fold(sum);
	copy2(q->ports + port_at, to_port);
	sum += ports_delta;
	if (!q->check)
		return fold(sum);
	was = *q->check;
	is = l4_is(p->flow.l4, L4_TCP) ? adjust(was, l4_delta) : adjust_udp(was, l4_delta);
	*q->check = is;
	return fold(sum + (__u16)~was + is);
}
