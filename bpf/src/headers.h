/* Headers of a frame. EtherTypes and IP protocols have types of their own, so that they cannot
 * be confused. */
#pragma once

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/in.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "lb.h"
#include "memory.h"

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
#define L4_ICMP ((struct l4_type){ IPPROTO_ICMP })
#define L4_ICMPV6 ((struct l4_type){ IPPROTO_ICMPV6 })
#define L4_TCP ((struct l4_type){ IPPROTO_TCP })
#define L4_UDP ((struct l4_type){ IPPROTO_UDP })
#define L4_IPV4 ((struct l4_type){ IPPROTO_IPIP })
#define L4_IPV6 ((struct l4_type){ IPPROTO_IPV6 })
#define L4_FRAGMENT ((struct l4_type){ IPPROTO_FRAGMENT })

static __always_inline bool l3_is(struct l3_type a, struct l3_type b)
{
	return a.wire == b.wire;
}

static __always_inline bool l4_is(struct l4_type a, struct l4_type b)
{
	return a.wire == b.wire;
}

static __always_inline bool is_tag(struct l3_type t)
{
	return l3_is(t, L3_8021Q) || l3_is(t, L3_8021AD);
}

/* Is the frame to a group of stations, all of them included? */
static __always_inline bool is_group(const struct ethhdr *eth)
{
	return eth->h_dest[0] & 1;
}

static __always_inline bool has_ports(struct l4_type t)
{
	return l4_is(t, L4_TCP) || l4_is(t, L4_UDP);
}

struct tag {
	__be16 tci;
	__be16 next;
};

/* The fragment header of RFC 8200, section 4.5. */
struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 bits; /* offset in units of 8 bytes above, more fragments below */
	__be32 id;
};

struct icmp {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest;
};

/* Bytes 12 and 13 of a TCP header in one word, as they lie in memory: data offset and flags. */
#define TCP_FIN 0x0100
#define TCP_SYN 0x0200
#define TCP_RST 0x0400
#define TCP_ACK 0x1000

static __always_inline __u32 tcp_header_bytes(__u16 word)
{
	return (word >> 4 & 0xf) * 4;
}

#define DONT_FRAGMENT bpf_htons(0x4000)
#define MORE_OR_OFFSET bpf_htons(0x3fff)
#define OFFSET bpf_htons(0x1fff)

#define PAST_END(header, end) ((void *)((header) + 1) > (end))

/* The interface that a packet came in on. In assembler, so that the compiler does not compute
 * the field's address first: the verifier takes no pointers into the context. */
static __always_inline __u32 ingress(const struct xdp_md *ctx)
{
	__u32 ifindex;

	asm volatile("%[to] = *(u32 *)(%[ctx] + %[at])"
		     : [to] "=r"(ifindex)
		     : [ctx] "r"(ctx), [at] "i"(__builtin_offsetof(struct xdp_md, ingress_ifindex)));
	return ifindex;
}
