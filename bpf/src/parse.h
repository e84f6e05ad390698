/* From a frame to a view of its headers, or a reason why not. */
#pragma once

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/in.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "lb.h"

/* EtherTypes and IP protocols cannot be mixed up: each has its own type. */
struct l3_type {
	__be16 wire;
};
struct l4_type {
	__u8 wire;
};

#define L3_IPV4 ((struct l3_type){ bpf_htons(ETH_P_IP) })
#define L3_IPV6 ((struct l3_type){ bpf_htons(ETH_P_IPV6) })
#define L3_8021Q ((struct l3_type){ bpf_htons(ETH_P_8021Q) })
#define L3_8021AD ((struct l3_type){ bpf_htons(ETH_P_8021AD) })
#define L4_TCP ((struct l4_type){ IPPROTO_TCP })
#define L4_UDP ((struct l4_type){ IPPROTO_UDP })
#define L4_FRAGMENT ((struct l4_type){ IPPROTO_FRAGMENT })

static __always_inline bool l3_is(struct l3_type a, struct l3_type b)
{
	return a.wire == b.wire;
}

static __always_inline bool l4_is(struct l4_type a, struct l4_type b)
{
	return a.wire == b.wire;
}

struct ports {
	__u8 source[2];
	__u8 destination[2];
};

/* A parsed packet. Which of the two IP headers it has is a number and not a
 * pointer that may be null: the verifier does not know a packet pointer from null. */
struct packet {
	struct ethhdr *eth;
	union {
		struct iphdr *v4;
		struct ipv6hdr *v6;
	};
	bool is_v6;
	struct ports *ports;
	__u16 *check;	/* of TCP or UDP */
	__u32 ip_bytes; /* IP header and all it says it carries */
	struct l4_type l4;
};

#define NEXT(header, end) ((void *)((header) + 1) > (end))

static __always_inline enum lb_reason parse_l4(struct packet *p, void *l4, void *end,
					       __u32 l4_bytes)
{
	if (l4_is(p->l4, L4_TCP)) {
		struct tcphdr *tcp = l4;

		if (l4_bytes < sizeof(*tcp) || NEXT(tcp, end))
			return LB_MALFORMED_L4;
		if (tcp->doff < 5 || tcp->doff * 4 > l4_bytes)
			return LB_MALFORMED_L4;
		p->check = &tcp->check;
	} else {
		struct udphdr *udp = l4;
		__u32 bytes;

		if (l4_bytes < sizeof(*udp) || NEXT(udp, end))
			return LB_MALFORMED_L4;
		bytes = bpf_ntohs(udp->len);
		if (bytes < sizeof(*udp) || bytes > l4_bytes)
			return LB_MALFORMED_L4;
		p->check = &udp->check;
	}
	p->ports = l4;
	return LB_OK;
}

static __always_inline enum lb_reason parse_ipv4(struct packet *p, void *l3, void *end)
{
	struct iphdr *ip = l3;

	if (NEXT(ip, end) || ip->version != 4 || ip->ihl < 5)
		return LB_MALFORMED_IP;
	p->ip_bytes = bpf_ntohs(ip->tot_len);
	if (p->ip_bytes < ip->ihl * 4 || p->ip_bytes > end - l3)
		return LB_MALFORMED_IP;
	if (ip->ihl > 5)
		return LB_IP_OPTIONS;
	if (ip->frag_off & bpf_htons(0x3fff)) /* more fragments, or an offset */
		return LB_FRAGMENT;
	p->l4.wire = ip->protocol;
	if (!l4_is(p->l4, L4_TCP) && !l4_is(p->l4, L4_UDP))
		return LB_NOT_TCP_UDP;
	p->v4 = ip;
	return parse_l4(p, ip + 1, end, p->ip_bytes - sizeof(*ip));
}

static __always_inline bool is_extension(struct l4_type t)
{
	switch (t.wire) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
	case IPPROTO_MH:
	case 139: /* HIP, RFC 7401 */
	case 140: /* Shim6, RFC 5533 */
		return true;
	}
	return false;
}

static __always_inline enum lb_reason parse_ipv6(struct packet *p, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;

	if (NEXT(ip, end) || ip->version != 6)
		return LB_MALFORMED_IP;
	p->ip_bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (p->ip_bytes > end - l3)
		return LB_MALFORMED_IP;
	p->l4.wire = ip->nexthdr;
	if (l4_is(p->l4, L4_TCP) || l4_is(p->l4, L4_UDP)) {
		p->v6 = ip;
		p->is_v6 = true;
		return parse_l4(p, ip + 1, end, p->ip_bytes - sizeof(*ip));
	}
	if (l4_is(p->l4, L4_FRAGMENT))
		return LB_FRAGMENT;
	return is_extension(p->l4) ? LB_IPV6_EXTENSION : LB_NOT_TCP_UDP;
}

static __always_inline enum lb_reason parse(struct xdp_md *ctx, struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;
	struct l3_type type;

	p->eth = (void *)(long)ctx->data;
	if (NEXT(p->eth, end))
		return LB_MALFORMED_ETHERNET;
	type.wire = p->eth->h_proto;
	if (l3_is(type, L3_IPV4))
		return parse_ipv4(p, p->eth + 1, end);
	if (l3_is(type, L3_IPV6))
		return parse_ipv6(p, p->eth + 1, end);
	if (l3_is(type, L3_8021Q) || l3_is(type, L3_8021AD))
		return LB_VLAN_TAGGED;
	return LB_NOT_IP;
}
