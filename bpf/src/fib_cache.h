/* The route to a client. The kernel's FIB decides it, and its look-up takes more time than all
 * the rest of the program. So each CPU keeps the answers for some ticks of the clock. */
#pragma once

#include "find.h"

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

/* Entries of each CPU, and by how much a hash is shifted for the number of one. */
#define FIB_CACHE_ENTRIES 4096U
#define FIB_CACHE_SHIFT 52

/* How long an entry is valid, in ticks of the kernel's clock: 16 to 160 ms, by CONFIG_HZ. Go
 * ends the life of all entries when the network changes, by the epoch in `settings`. */
const volatile __u32 fib_cache_ticks = 16;

/* How a packet reaches its client. */
struct client_route {
	const void *macs; /* destination, source */
	__u32 ifindex;
	__u32 mtu;
};

static __always_inline __u32 epoch(void)
{
	return *(volatile __u32 *)&ROWS(settings)->epoch;
}

static __always_inline bool is_valid(const struct fib_entry *e, __u32 now)
{
	return (__u32)bpf_jiffies64() - e->tick < fib_cache_ticks && e->epoch == now;
}

/* Does the entry answer for this packet, which came on interface `from`, with this sender? */
static __always_inline bool is_for(const struct fib_entry *e, const struct packet *p, struct endpoint_key client,
				   const __u8 source[16], __u32 from)
{
	__u64 differs = load64(e->client) ^ client.high;

	differs |= load64(e->client + 8) ^ client.low;
	differs |= load64(e->source) ^ load64(source);
	differs |= load64(e->source + 8) ^ load64(source + 8);
	differs |= e->ingress ^ from;
	differs |= e->protocol ^ p->flow.l4.wire;
	return !differs && p->ip_bytes <= e->mtu;
}

/* A question to the kernel's FIB, of each CPU: the stack has no room for it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct bpf_fib_lookup);
	__uint(max_entries, 1);
} fib_questions SEC(".maps");

/* A question about a packet that came in on this interface, with these addresses in its header. */
static __always_inline struct bpf_fib_lookup *fib_question(struct xdp_md *ctx, __u32 bytes, __u8 protocol, const void *source,
							   const void *destination, bool is_v6)
{
	__u32 zero = 0;
	struct bpf_fib_lookup *fib = bpf_map_lookup_elem(&fib_questions, &zero);

	if (!fib)
		return fib;
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = ingress(ctx);
	fib->tot_len = bytes;
	fib->l4_protocol = protocol;
	if (is_v6) {
		fib->family = AF_INET6;
		copy16(fib->ipv6_src, source);
		copy16(fib->ipv6_dst, destination);
	} else {
		fib->family = AF_INET;
		fib->ipv4_src = load32(source);
		fib->ipv4_dst = load32(destination);
	}
	return fib;
}

static __always_inline void remember_route(struct fib_entry *e, const struct bpf_fib_lookup *fib, __u32 ingress, __u32 epoch)
{
	e->protocol = fib->l4_protocol;
	e->mtu = fib->mtu_result;
	e->ingress = ingress;
	e->epoch = epoch;
	e->tick = bpf_jiffies64();
	e->ifindex = fib->ifindex;
	copy12(e->macs, fib->smac);
}

/* Asks the kernel's FIB what is in `fib_questions`, and returns what bpf_fib_lookup does. The MAC addresses of its answer
 * change places: they are then as in a frame. A route with a neighbour is kept in the entry of that number, less one; with 0
 * it is not. */
__noinline int ask_fib(struct xdp_md *ctx, __u32 entry)
{
	__u32 zero = 0, at = entry - 1, now = epoch();
	struct bpf_fib_lookup *fib = bpf_map_lookup_elem(&fib_questions, &zero);
	__u8 mac[ETH_ALEN], client[16], source[16];
	struct fib_entry *e;
	long answer;

	if (!fib)
		return -1;
	map_address(client, fib->ipv6_dst, fib->family == AF_INET6); /* the answer may have a gateway there */
	map_address(source, fib->ipv6_src, fib->family == AF_INET6);
	answer = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	__builtin_memcpy(mac, fib->smac, ETH_ALEN);
	__builtin_memcpy(fib->smac, fib->dmac, ETH_ALEN);
	__builtin_memcpy(fib->dmac, mac, ETH_ALEN);
	if (answer != BPF_FIB_LKUP_RET_SUCCESS || !entry)
		return answer;
	e = ROW(fib_cache, at, FIB_CACHE_LAST);
	if (!e)
		return answer;
	copy16(e->client, client);
	copy16(e->source, source);
	remember_route(e, fib, ingress(ctx), now);
	return answer;
}

/* Finds the route of a packet with this sender to its client: in the cache, else in the FIB. The FIB's answer replaces only
 * an entry that is not valid any more. */
static __always_inline int route_to_client(struct xdp_md *ctx, const struct packet *p, const __u8 source[16],
					   struct client_route *r)
{
	const void *to = p->flow.is_v6 ? (void *)&p->v6->daddr : (void *)&p->v4->daddr;
	struct endpoint_key client = endpoint_key(to, p->flow.is_v6, 0, (struct l4_type){ 0 });
	__u32 at = bpf_get_smp_processor_id() * FIB_CACHE_ENTRIES + (endpoint_hash(client) >> FIB_CACHE_SHIFT);
	struct fib_entry *e = ROW(fib_cache, at, FIB_CACHE_LAST);
	bool valid = e && is_valid(e, epoch());
	struct bpf_fib_lookup *fib;
	int answer;

	if (valid && likely(is_for(e, p, client, source, ingress(ctx)))) {
		r->ifindex = e->ifindex;
		r->macs = e->macs;
		return BPF_FIB_LKUP_RET_SUCCESS;
	}
	fib = fib_question(ctx, p->ip_bytes, p->flow.l4.wire, p->flow.is_v6 ? source : source + 12, to, p->flow.is_v6);
	if (!fib)
		return -1;
	answer = ask_fib(ctx, valid ? 0 : at + 1);
	r->ifindex = fib->ifindex;
	r->mtu = fib->mtu_result;
	r->macs = fib->smac;
	return answer;
}
