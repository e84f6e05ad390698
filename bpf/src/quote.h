/* ICMP errors: which flow the quoted packet belongs to, and rewriting the quote as that packet
 * was rewritten. */
#pragma once

#include "rewrite.h"

/* The first bytes of a packet that somebody could not deliver. */
struct quote {
	__u8 *source, *destination; /* addresses, in the frame */
	__u16 *ip_check;	    /* of IPv4 */
	__u8 *ports;
	__u16 *check; /* of TCP or UDP, if it was quoted as far */
	bool has_check;
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
	p->flow.ports = load32(l4) << 16 | load32(l4) >> 16;
	if (bytes >= check + 2 && l4 + check + 2 <= end) {
		q->check = l4 + check;
		q->has_check = true;
	}
	return true;
}

static __always_inline bool quote_v4(struct packet *p, struct quote *q, void *end)
{
	struct iphdr *ip = p->l4 + sizeof(struct icmp);
	__u32 bytes = p->l4_bytes - sizeof(struct icmp), header;

	if (bytes < sizeof(*ip) || PAST_END(ip, end) || ip->version != 4 || ip->ihl < 5)
		return false;
	header = ip->ihl * 4;
	if (ip->frag_off & OFFSET || bytes < header || ip->saddr != p->v4->daddr)
		return false;
	q->source = (__u8 *)&ip->saddr;
	q->destination = (__u8 *)&ip->daddr;
	q->ip_check = &ip->check;
	return quote_l4(p, q, (void *)ip + header, bytes - header, ip->protocol, end);
}

static __always_inline bool quote_v6(struct packet *p, struct quote *q, void *end)
{
	struct ipv6hdr *ip = p->l4 + sizeof(struct icmp);
	__u32 bytes = p->l4_bytes - sizeof(struct icmp);

	if (bytes < sizeof(*ip) || PAST_END(ip, end) || ip->version != 6)
		return false;
	if (load64(&ip->saddr) != load64(&p->v6->daddr) ||
	    load64((void *)&ip->saddr + 8) != load64((void *)&p->v6->daddr + 8))
		return false;
	q->source = (__u8 *)&ip->saddr;
	q->destination = (__u8 *)&ip->daddr;
	return quote_l4(p, q, ip + 1, bytes - sizeof(*ip), ip->nexthdr, end);
}

/* Sets the flow of the packet to that which the receiver of the quoted packet sends. */
static __always_inline bool read_quote(struct packet *p, struct quote *q, void *end)
{
	if (p->l4 + sizeof(struct icmp) > end ||
	    !(p->flow.is_v6 ? quote_v6(p, q, end) : quote_v4(p, q, end)))
		return false;
	p->flow.source = q->destination;
	p->flow.destination = q->source;
	return true;
}

/* What a new port adds to the complement of a checksum. */
static __always_inline __u16 port_delta(const __u8 was[2], const __u8 is[2])
{
	return fold((__u16)~load16(was) + load16(is));
}

/* Gives one end of the quoted packet another address and port. Returns what that adds to the
 * complement of the ICMP checksum, which covers the quoted checksums, too. */
static __always_inline __u16 requote(struct packet *p, struct quote *q, void *address, void *port,
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
	copy2(port, to_port);
	sum += ports_delta;
	if (!q->has_check)
		return fold(sum);
	was = *q->check;
	is = l4_is(p->flow.l4, L4_TCP) ? adjust(was, l4_delta) : adjust_udp(was, l4_delta);
	*q->check = is;
	return fold(sum + (__u16)~was + is);
}
