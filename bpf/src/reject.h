/* Answers to packets to the address of a VIP that no service takes, where they are asked for: what a host says of a port
 * or a protocol at which nobody listens. A TCP segment is answered by a reset, as RFC 9293, section 3.10.7.1, has it of a
 * connection that does not exist; everything else by an ICMP error, unless RFC 1812, section 4.3.2.7, or RFC 4443,
 * section 2.4, forbids one. */
#pragma once

#include "answer.h"

/* Are such packets answered? Set by Go. */
const volatile bool rejects;

/* How long an ICMP error is at most, with its IP header, so that it gets to everybody: RFC 1812, section 4.3.2.3, and
 * RFC 4443, section 2.4. It quotes as much of the packet as that allows. */
#define ERROR_V4 576
#define ERROR_V6 1280

/* A TCP header without options. */
struct segment {
	__be32 ports, sequence, acknowledged;
	__u16 flags; /* and the length of the header */
	__u16 window;
	__u16 check, urgent;
};

/* An answer in the making. One of each CPU: the stack has no room for it. */
struct rejection {
	struct token_bucket tokens; /* a new program begins with a full bucket */
	struct in6_addr from, to;   /* of the packet; IPv4 in the first word */
	struct icmp error;
	struct segment reset;
	__u8 link[ETH_HLEN + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct rejection);
	__uint(max_entries, 1);
} rejections SEC(".maps");

/* What follows takes the union dissection of the packet. is_v6 is a constant at each call. */

/* Where the IP header is in the frame, that of the packet and that of its answer. */
static __always_inline __u32 l3_at(union dissection d)
{
	return ETH_HLEN + (d.tag_bytes & 12);
}

static __always_inline __u32 head_bytes(bool is_v6)
{
	return is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* Reads the addresses and returns the length of the packet; 0 if no single host can have sent it. */
static __always_inline __u32 read_rejected(struct xdp_md *ctx, struct rejection *r, union dissection d, bool is_v6)
{
	void *l3 = (void *)(long)ctx->data + l3_at(d);
	struct ipv6hdr *v6 = l3;
	struct iphdr *v4 = l3;

	if (l3 + head_bytes(is_v6) > (void *)(long)ctx->data_end)
		return 0;
	if (is_v6) {
		copy16(&r->from, &v6->saddr);
		copy16(&r->to, &v6->daddr);
		return is_host(&r->from, true) && !equal16(&r->from, &r->to) ? sizeof(*v6) + bpf_ntohs(v6->payload_len) : 0;
	}
	store32(&r->from, v4->saddr);
	store32(&r->to, v4->daddr);
	return is_host(&r->from, false) && v4->saddr != v4->daddr ? bpf_ntohs(v4->tot_len) : 0;
}

/* Writes the IP header of the answer. */
static __always_inline void write_head(const struct rejection *r, void *l3, __u32 bytes, __u8 protocol, bool is_v6)
{
	if (is_v6)
		head_v6(l3, &r->to, &r->from, bytes, protocol);
	else
		head_v4(l3, load32(&r->to), load32(&r->from), bytes, protocol, protocol == IPPROTO_TCP ? 0 : TOS_ERROR);
}

static __always_inline __u64 pseudo_sum(const struct rejection *r, __u32 bytes, __u8 protocol, bool is_v6)
{
	__u64 sum = bpf_htonl(bytes) + (__u64)bpf_htonl(protocol);

	return sum_words(&r->from, is_v6 ? 4 : 1, sum_words(&r->to, is_v6 ? 4 : 1, sum));
}

/* Makes the reset that answers a segment of a packet of so many bytes. Returns false if none does. */
static __always_inline bool make_reset(struct xdp_md *ctx, struct rejection *r, union dissection d, __u32 bytes,
				       bool is_v6)
{
	__u32 at = d.l4 & 0x3fff;
	const struct segment *s = (void *)(long)ctx->data + l3_at(d) + at;
	struct segment reset = {};

	if (PAST_END(s, (void *)(long)ctx->data_end) || s->flags & TCP_RST)
		return false;
	reset.ports = s->ports << 16 | s->ports >> 16;
	if (s->flags & TCP_ACK) {
		reset.sequence = s->acknowledged;
		reset.flags = sizeof(reset) / 4 << 4 | TCP_RST;
	} else {
		bytes -= at + tcp_header_bytes(s->flags);
		bytes += !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
		reset.acknowledged = bpf_htonl(bpf_ntohl(s->sequence) + bytes);
		reset.flags = sizeof(reset) / 4 << 4 | TCP_RST | TCP_ACK;
	}
	r->reset = reset;
	r->reset.check = checksum(sum_words(&reset, sizeof(reset) / 4, pseudo_sum(r, sizeof(reset), IPPROTO_TCP, is_v6)));
	return true;
}

/* Replaces the frame by one with the reset, which is never longer. */
static __always_inline enum lb_reason send_reset(struct xdp_md *ctx, struct rejection *r, union dissection d, bool is_v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 bytes = head_bytes(is_v6) + sizeof(r->reset);
	long surplus = end - data - (l3_at(d) + bytes);

	if (surplus < 0 || bpf_xdp_adjust_tail(ctx, -(int)surplus))
		return LB_TABLE_FAULT;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (PAST_END((struct ethhdr *)data, end))
		return LB_TABLE_FAULT;
	swap_macs(data);
	data += l3_at(d);
	if (data + bytes > end)
		return LB_TABLE_FAULT;
	write_head(r, data, sizeof(r->reset), IPPROTO_TCP, is_v6);
	__builtin_memcpy(data + head_bytes(is_v6), &r->reset, sizeof(r->reset));
	return LB_REJECTED;
}

/* The place of the Next Header field that names what the extension headers of an IPv6 packet lead to. */
static __always_inline __u32 named_at(const void *l3, const void *end, __u32 l4)
{
	__u32 at = sizeof(struct ipv6hdr), named = __builtin_offsetof(struct ipv6hdr, nexthdr);
	__u8 next;

	if (PAST_END((struct ipv6hdr *)l3, end))
		return 0;
	next = ((struct ipv6hdr *)l3)->nexthdr;
	for (int i = 0; i < EXTENSIONS_MAX && at < l4; i++) {
		const __u8 *header = l3 + (at & 0x3fff);

		if (header + 2 > (const __u8 *)end)
			return 0;
		named = at;
		at += next == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
		next = header[0];
	}
	return named;
}

static __always_inline struct icmp icmp_error(__u8 type, __u8 code, __u32 rest)
{
	return (struct icmp){ .type = type, .code = code, .rest = bpf_htonl(rest) };
}

/* Finds what is said of a packet of so many bytes; nothing, with type 0, of ICMP that is an error, an answer or not
 * known, and of extension headers that do not lead to a protocol. */
static __always_inline struct icmp find_error(struct xdp_md *ctx, union dissection d, __u32 bytes, bool is_v6)
{
	void *l3 = (void *)(long)ctx->data + l3_at(d), *end = (void *)(long)ctx->data_end;
	__u8 echo = is_v6 ? 128 : 8, icmp = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	__u32 at = d.l4 & 0x3fff;
	__u8 *type = l3 + at;

	if (d.protocol == IPPROTO_UDP) /* port unreachable */
		return is_v6 ? icmp_error(1, 4, 0) : icmp_error(3, 3, 0);
	if (d.protocol == icmp) {
		if (bytes <= at || type + 1 > (__u8 *)end || *type != echo)
			return icmp_error(0, 0, 0);
		/* Administratively prohibited: echo is known, but not with options or in fragments. */
		return is_v6 ? icmp_error(1, 1, 0) : icmp_error(3, 13, 0);
	}
	if (!is_v6)
		return icmp_error(3, 2, 0); /* protocol unreachable */
	switch (d.protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_NONE:
		return icmp_error(0, 0, 0);
	}
	return icmp_error(4, 1, named_at(l3, end, at)); /* unrecognized next header */
}

/* Sums what is in the frame from an offset on: `bytes`, or `most` of them, which is a constant. */
static __always_inline __u64 sum_to_end(void *data, void *end, __u32 at, __u32 bytes, int most, __u64 sum)
{
	__u32 rest = bytes & 3, last = (at + bytes - rest) & 0x7ff;

	for (int i = 0; i < most / 4 && data + at + 4 <= end; i++, at += 4)
		sum += load32(data + at);
	/* Not from the `at` of the loop: the verifier would go on from each of its ends. */
	for (__u32 i = 0; i < 3; i++) {
		__u8 *byte = data + last + i;

		if (i < rest && byte + 1 <= (__u8 *)end)
			sum += (__u32)*byte << 8 * i;
	}
	return sum;
}

/* Replaces the frame by one with the ICMP error, which quotes the packet. */
static __always_inline enum lb_reason send_error(struct xdp_md *ctx, struct rejection *r, union dissection d, __u32 bytes,
						 bool is_v6)
{
	__u32 l3 = l3_at(d), grown = head_bytes(is_v6) + sizeof(struct icmp), most = is_v6 ? ERROR_V6 : ERROR_V4;
	__u8 protocol = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *at;
	struct icmp *icmp;
	long surplus;
	__u64 sum;

	if (bytes > most - grown)
		bytes = most - grown;
	surplus = end - data - l3 - bytes;
	if (surplus < 0 || data + sizeof(r->link) > end)
		return LB_TABLE_FAULT;
	__builtin_memcpy(r->link, data, sizeof(r->link));
	if (bpf_xdp_adjust_tail(ctx, -(int)surplus))
		return LB_TABLE_FAULT;
	if (bpf_xdp_adjust_head(ctx, -(int)grown))
		return LB_NO_HEADROOM;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + sizeof(r->link) > end)
		return LB_TABLE_FAULT;
	__builtin_memcpy(data, r->link, sizeof(r->link));
	swap_macs(data);
	at = data + l3;
	icmp = at + head_bytes(is_v6);
	if (PAST_END(icmp, end))
		return LB_TABLE_FAULT;
	bytes += sizeof(*icmp);
	write_head(r, at, bytes, protocol, is_v6);
	*icmp = r->error;
	sum = is_v6 ? pseudo_sum(r, bytes, protocol, true) : 0;
	icmp->check = checksum(sum_to_end(data, end, l3 + head_bytes(is_v6), bytes, most, sum));
	return LB_REJECTED;
}

static __always_inline enum lb_reason by_reset(struct xdp_md *ctx, struct rejection *r, union dissection d, bool is_v6)
{
	__u32 bytes = read_rejected(ctx, r, d, is_v6);

	if (!bytes || d.part != WHOLE || !make_reset(ctx, r, d, bytes, is_v6))
		return LB_VIP_NO_SERVICE;
	return take_token_of(&r->tokens) ? send_reset(ctx, r, d, is_v6) : LB_REJECT_LIMITED;
}

static __always_inline enum lb_reason by_error(struct xdp_md *ctx, struct rejection *r, union dissection d, bool is_v6)
{
	__u32 bytes = read_rejected(ctx, r, d, is_v6);

	if (!bytes || d.part == LATER)
		return LB_VIP_NO_SERVICE;
	r->error = find_error(ctx, d, bytes, is_v6);
	if (!r->error.type)
		return LB_VIP_NO_SERVICE;
	return take_token_of(&r->tokens) ? send_error(ctx, r, d, bytes, is_v6) : LB_REJECT_LIMITED;
}

/* Answers a packet, and returns its final reason. */
__noinline int reject(struct xdp_md *ctx, __u64 word)
{
	union dissection d = { .word = word };
	__u32 zero = 0;
	struct rejection *r = bpf_map_lookup_elem(&rejections, &zero);

	if (!r)
		return LB_TABLE_FAULT;
	if (d.protocol == IPPROTO_TCP)
		return d.is_v6 ? by_reset(ctx, r, d, true) : by_reset(ctx, r, d, false);
	return d.is_v6 ? by_error(ctx, r, d, true) : by_error(ctx, r, d, false);
}
