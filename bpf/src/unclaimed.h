/* Packets that no service and no reverse NAT entry takes, among them those that are malformed: whose are
 * they, by their addresses alone? */
#pragma once

#include "fib_cache.h"
#include "reject.h"

/* Would the kernel forward a packet to this address, rather than keep it? */
static __always_inline bool is_forwarded(struct xdp_md *ctx, const void *source, const void *destination,
					 bool is_v6)
{
	struct bpf_fib_lookup *fib = fib_question(ctx, 0, 0, source, destination, is_v6);
	long answer;

	if (!fib)
		return false;
	answer = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	return answer == BPF_FIB_LKUP_RET_SUCCESS || answer == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       answer == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/* Is a packet with a malformed TCP or UDP header the answer of a replica? */
static __always_inline bool is_answer(union dissection d, void *l3, void *end, bool is_v6)
{
	const void *source = is_v6 ? (void *)&((struct ipv6hdr *)l3)->saddr : (void *)&((struct iphdr *)l3)->saddr;
	__u32 at = d.l4 & 0x3fff, bytes, replica;
	void *l4 = l3 + at;

	bytes = is_v6 ? sizeof(struct ipv6hdr) + bpf_ntohs(((struct ipv6hdr *)l3)->payload_len) :
			bpf_ntohs(((struct iphdr *)l3)->tot_len);
	if (bytes < at + 4 || l4 + 4 > end)
		return false; /* not even ports */
	return rev_nat_at(endpoint_key(source, is_v6, load16(l4), (struct l4_type){ d.protocol }), &replica);
}

/* is_v6 is a constant at each call. */
static __always_inline int settle_ip(struct xdp_md *ctx, union dissection d, void *l3, void *end, int why,
				     bool is_v6)
{
	struct ipv6hdr *v6 = l3;
	struct iphdr *v4 = l3;
	bool malformed = why == LB_MALFORMED_IP || why == LB_MALFORMED_L4;

	if (is_v6 ? PAST_END(v6, end) || v6->version != 6 : PAST_END(v4, end) || v4->version != 4)
		return why;
	if (!is_vip(is_v6 ? (void *)&v6->daddr : (void *)&v4->daddr, is_v6)) {
		if (!malformed || (why == LB_MALFORMED_L4 && is_answer(d, l3, end, is_v6)))
			return why;
		return LB_NOT_OURS;
	}
	if (malformed)
		return why;
	if (!is_forwarded(ctx, is_v6 ? (void *)&v6->saddr : (void *)&v4->saddr,
			  is_v6 ? (void *)&v6->daddr : (void *)&v4->daddr, is_v6))
		return LB_FOR_THIS_HOST;
	if (why == LB_FRAGMENT_ORPHAN)
		return why;
	return rejects ? reject(ctx, d.word) : LB_VIP_NO_SERVICE;
}

/* Returns the final reason of a packet that so far has the reason `why`. What is not to the address of a VIP is
 * not ours, and goes up; except that a malformed answer does not leave with a replica's address. What is to the
 * address of a VIP goes up only if the kernel keeps it; if it forwarded it, it would come back. */
__noinline int settle_unclaimed(struct xdp_md *ctx, int why)
{
	union dissection d = { .word = dissect(ctx) };
	void *l3 = (void *)(long)ctx->data + ETH_HLEN + (d.tag_bytes & 12);
	void *end = (void *)(long)ctx->data_end;
	struct l3_type type;

	if (l3 > end)
		return why;
	type.wire = load16(l3 - 2);
	if (l3_is(type, L3_IPV6))
		return settle_ip(ctx, d, l3, end, why, true);
	return settle_ip(ctx, d, l3, end, why, false);
}

static __always_inline enum lb_reason settle_any(struct xdp_md *ctx, enum lb_reason why)
{
	int settled = settle_unclaimed(ctx, why);

	return settled >= 0 && settled < LB_REASONS ? (enum lb_reason)settled : LB_TABLE_FAULT;
}

/* The final reason of a packet, but for one that is LB_NOT_OURS by its flow. */
static __always_inline enum lb_reason settle(struct xdp_md *ctx, enum lb_reason why)
{
	switch (why) {
	case LB_NOT_TCP_UDP:
	case LB_IPV6_EXTENSION:
	case LB_MALFORMED_IP:
	case LB_MALFORMED_L4:
	case LB_FRAGMENT_ORPHAN:
		return settle_any(ctx, why);
	default:
		return why;
	}
}
