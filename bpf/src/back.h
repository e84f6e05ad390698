/* The way back to a client. The kernel is asked, which takes more time than all the rest of
 * the way; for some ticks its answer is taken again for the same question. */
#pragma once

#include "find.h"

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

#define HEARD_LINES 4096U
/* An answer's life, if Go does not end it: 16 to 160 ms, by the kernel's CONFIG_HZ. */
const volatile __u32 heard_ticks = 16;

/* The answer, and what it depends on besides the packet. */
struct back {
	__u8 source[16]; /* who sends: the VIP, or whoever sent an error */
	__u8 macs[12];	 /* destination, source */
	__u32 ifindex;
	__u32 mtu;
};

static __always_inline __u32 epoch(void)
{
	__u32 first = 0;
	struct setting *s = bpf_map_lookup_elem(&settings, &first);

	return s ? s->epoch : 0;
}

static __always_inline bool is_fresh(const struct heard *h, __u32 now)
{
	return (__u32)bpf_jiffies64() - h->tick < heard_ticks && h->epoch == now;
}

static __always_inline bool is_about(const struct heard *h, const struct packet *p, struct words client,
				     const struct back *b, __u32 from)
{
	__u64 differs = load64(h->client) ^ client.high;

	differs |= load64(h->client + 8) ^ client.low;
	differs |= load64(h->source) ^ load64(b->source);
	differs |= load64(h->source + 8) ^ load64(b->source + 8);
	differs |= h->ingress ^ from;
	differs |= h->protocol ^ p->flow.l4.wire;
	return !differs && p->ip_bytes <= h->mtu;
}

static __always_inline void hear(struct heard *h, const struct packet *p, struct words client,
				 const struct back *b, __u32 from, __u32 now)
{
	store64(h->client, client.high);
	store64(h->client + 8, client.low);
	copy16(h->source, b->source);
	h->protocol = p->flow.l4.wire;
	h->mtu = b->mtu;
	h->ingress = from;
	h->epoch = now;
	h->tick = bpf_jiffies64();
	h->ifindex = b->ifindex;
	copy12(h->macs, b->macs);
}

/* Asks the kernel for the way to the client. */
static __always_inline long ask(struct xdp_md *ctx, const struct packet *p, struct back *b)
{
	struct bpf_fib_lookup fib = {};
	long answer;

	fib.ifindex = ingress(ctx);
	fib.tot_len = p->ip_bytes;
	fib.l4_protocol = p->flow.l4.wire;
	if (p->flow.is_v6) {
		fib.family = AF_INET6;
		copy16(fib.ipv6_src, b->source);
		copy16(fib.ipv6_dst, &p->v6->daddr);
	} else {
		fib.family = AF_INET;
		fib.ipv4_src = mapped_v4(b->source);
		fib.ipv4_dst = p->v4->daddr;
	}
	answer = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	b->ifindex = fib.ifindex;
	b->mtu = fib.mtu_result;
	__builtin_memcpy(b->macs, fib.dmac, ETH_ALEN);
	__builtin_memcpy(b->macs + ETH_ALEN, fib.smac, ETH_ALEN);
	return answer;
}

/* The way to the client: what was heard, or the kernel's answer, which takes the place of what is old. */
static __always_inline long way_back(struct xdp_md *ctx, const struct packet *p, struct back *b)
{
	const void *to = p->flow.is_v6 ? (void *)&p->v6->daddr : (void *)&p->v4->daddr;
	struct words client = words_of(to, p->flow.is_v6, 0, (struct l4_type){ 0 });
	__u32 at = bpf_get_smp_processor_id() * HEARD_LINES + bucket_hash(client) % HEARD_LINES;
	struct heard *h = bpf_map_lookup_elem(&heard, &at);
	__u32 now = epoch(), from = ingress(ctx);
	bool fresh = h && is_fresh(h, now);
	long answer;

	if (fresh && likely(is_about(h, p, client, b, from))) {
		b->ifindex = h->ifindex;
		copy12(b->macs, h->macs);
		return BPF_FIB_LKUP_RET_SUCCESS;
	}
	answer = ask(ctx, p, b);
	if (answer == BPF_FIB_LKUP_RET_SUCCESS && h && !fresh)
		hear(h, p, client, b, from, now);
	return answer;
}
