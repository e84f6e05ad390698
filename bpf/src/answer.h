/* Packets that the load balancer itself sends: answers to the sender of a packet. */
#pragma once

#include "rewrite.h"
#include "token_bucket.h"

/* How many bytes of a packet that is too big are quoted: IPv4 the longest header and 8 bytes
 * (RFC 792), IPv6 with room for extension headers. */
#define QUOTE_V4 68
#define QUOTE_V6 128

static __always_inline void swap_macs(struct ethhdr *eth)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
}

/* Is it an address that a packet of a single host can come from, as the kernel sees it? Not if it is of this
 * network (0.0.0.0/8) or unspecified, loopback, multicast, broadcast, or IPv4 mapped in an IPv6 header. */
static __always_inline bool is_host(const void *address, bool is_v6)
{
	const __u8 *b = address;

	if (is_v6)
		return b[0] != 0xff && (load64(b) || (load64(b + 8) & ~bpf_cpu_to_be64(1) &&
						      load32(b + 8) != bpf_htonl(0xffff)));
	return b[0] && b[0] != 127 && (b[0] < 224 || b[0] > 239) && load32(b) != 0xffffffff;
}

/* Can the packet not come from where it says? Nor does a VIP send to itself. */
static __always_inline bool is_martian(const struct packet *p)
{
	__u32 first;

	if (p->flow.is_v6) {
		const void *source = &p->v6->saddr, *destination = &p->v6->daddr;

		first = *(const __u8 *)source;
		if (load64(source + 8) == load64(destination + 8) && load64(source) == load64(destination))
			return true;
		return unlikely(!first || first == 0xff) && !is_host(source, true);
	}
	if (p->v4->saddr == p->v4->daddr)
		return true;
	first = (p->v4->saddr + 32) & 0xff; /* 224 to 255 and 0 are below 33 then */
	if (likely(first > 32 && first != 127 + 32))
		return false;
	return !is_host(&p->v4->saddr, false);
}

static __always_inline void echo_v4(struct iphdr *ip)
{
	__be32 source = ip->saddr;
	__u16 *word = (__u16 *)&ip->ttl;
	__u16 was = *word;

	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->ttl = 64;
	if (was != *word) /* else a checksum of 0xffff would become its equal 0 */
		ip->check = adjust(ip->check, (__u16)~was + *word);
}

static __always_inline void echo_v6(struct ipv6hdr *ip)
{
	struct in6_addr source = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->hop_limit = 64;
}

/* Turns an echo request to a VIP into the reply. */
static __always_inline void answer_echo(struct packet *p)
{
	struct icmp *icmp = p->l4;
	__u16 was = load16(icmp);

	swap_macs(p->eth);
	if (p->flow.is_v6) {
		echo_v6(p->v6);
		icmp->type = 129;
	} else {
		echo_v4(p->v4);
		icmp->type = 0;
	}
	icmp->check = adjust(icmp->check, (__u16)~was + load16(icmp));
}

static __always_inline bool is_echo_request(const struct packet *p)
{
	const struct icmp *icmp = p->l4;

	return icmp->type == (p->flow.is_v6 ? 128 : 8) && !icmp->code;
}

/* Sums `words` words of 32 bits. */
static __always_inline __u64 sum_words(const void *from, int words, __u64 sum)
{
	for (int i = 0; i < words; i++)
		sum += load32(from + 4 * i);
	return sum;
}

static __always_inline __u16 checksum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return ~fold((sum & 0xffff) + (sum >> 16));
}

struct too_big_v4 {
	struct iphdr ip;
	struct icmp icmp;
	__u8 quote[QUOTE_V4];
};

struct too_big_v6 {
	struct ipv6hdr ip;
	struct icmp icmp;
	__u8 quote[QUOTE_V6];
};

/* What the TOS of an ICMP error says: network control (RFC 1812, section 4.3.2.5). */
#define TOS_ERROR 0xc0

/* The header of a packet that carries so many bytes. */
static __always_inline void head_v4(struct iphdr *ip, __be32 from, __be32 to, __u32 bytes, __u8 protocol, __u8 tos)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = bpf_htons(sizeof(*ip) + bytes);
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->saddr = from;
	ip->daddr = to;
	ip->check = checksum(sum_words(ip, sizeof(*ip) / 4, 0));
}

static __always_inline void head_v6(struct ipv6hdr *ip, const struct in6_addr *from, const struct in6_addr *to,
				    __u32 bytes, __u8 next)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(bytes);
	ip->nexthdr = next;
	ip->hop_limit = 64;
	copy16(&ip->saddr, from);
	copy16(&ip->daddr, to);
}

static __always_inline void fill_too_big_v4(struct too_big_v4 *m, __be32 from, __be32 to, __u32 mtu)
{
	head_v4(&m->ip, from, to, sizeof(m->icmp) + QUOTE_V4, IPPROTO_ICMP, TOS_ERROR);
	m->icmp.type = 3; /* destination unreachable: fragmentation needed, RFC 1191 */
	m->icmp.code = 4;
	m->icmp.check = 0;
	m->icmp.rest = bpf_htonl(mtu);
	m->icmp.check = checksum(sum_words(&m->icmp, (sizeof(m->icmp) + QUOTE_V4) / 4, 0));
}

static __always_inline void fill_too_big_v6(struct too_big_v6 *m, const struct in6_addr *from,
					    const struct in6_addr *to, __u32 mtu)
{
	__u64 pseudo = bpf_htonl(sizeof(m->icmp) + QUOTE_V6) + (__u64)bpf_htonl(IPPROTO_ICMPV6);

	head_v6(&m->ip, from, to, sizeof(m->icmp) + QUOTE_V6, IPPROTO_ICMPV6);
	m->icmp.type = 2; /* packet too big: RFC 4443, section 3.2 */
	m->icmp.code = 0;
	m->icmp.check = 0;
	m->icmp.rest = bpf_htonl(mtu);
	pseudo = sum_words(&m->ip.saddr, 8, pseudo);
	m->icmp.check = checksum(sum_words(&m->icmp, (sizeof(m->icmp) + QUOTE_V6) / 4, pseudo));
}

/* Replaces the frame by the ICMP message that it is too big, from its destination to its sender.
 * Returns 0 if the frame is unchanged and is to be dropped. */
__noinline int answer_too_big(struct xdp_md *ctx, __u32 tag_bytes, __u32 is_v6, __u32 mtu)
{
	__u32 grown = is_v6 ? sizeof(struct too_big_v6) - QUOTE_V6 : sizeof(struct too_big_v4) - QUOTE_V4;
	__u32 size = is_v6 ? sizeof(struct too_big_v6) : sizeof(struct too_big_v4);
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct in6_addr from, to;
	__be32 from_v4, to_v4;
	__u8 link[ETH_HLEN + 8];
	long surplus = end - data;

	if (tag_bytes != 0 && tag_bytes != 4 && tag_bytes != 8)
		return 0;
	if (!take_token(BUCKET_TOO_BIG) || data + sizeof(link) > end)
		return 0;
	__builtin_memcpy(link, data, sizeof(link));
	surplus -= ETH_HLEN + tag_bytes + size - grown;
	data += ETH_HLEN + tag_bytes;
	if (surplus < 0 || data + QUOTE_V4 > end)
		return 0;
	from_v4 = ((struct iphdr *)data)->daddr;
	to_v4 = ((struct iphdr *)data)->saddr;
	from = ((struct ipv6hdr *)data)->daddr;
	to = ((struct ipv6hdr *)data)->saddr;
	if (bpf_xdp_adjust_tail(ctx, -(int)surplus) || bpf_xdp_adjust_head(ctx, -(int)grown))
		return 0;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + sizeof(link) > end)
		return 0;
	__builtin_memcpy(data, link, sizeof(link));
	swap_macs((void *)data);
	data += ETH_HLEN + tag_bytes;
	if (is_v6) {
		if (data + sizeof(struct too_big_v6) > end)
			return 0;
		fill_too_big_v6((void *)data, &from, &to, mtu);
	} else {
		if (data + sizeof(struct too_big_v4) > end)
			return 0;
		fill_too_big_v4((void *)data, from_v4, to_v4, mtu);
	}
	return 1;
}
