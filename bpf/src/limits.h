/* What few services have: ranges of client addresses, and rates. */
#pragma once

#include "maps.h"
#include "parse.h"

/* Of services with one of these flags more has to be looked at than a settled slot. */
#define SERVICE_LIMITED (SERVICE_RANGES | SERVICE_RATES)

/* The nanoseconds of a second. Set by Go: in tests it is so long that none passes by itself. */
const volatile __u64 second = 1000000000ULL;

/* Is a number of 128 bits less than another one? Without a branch, which would be mispredicted half of the time. */
static __always_inline __u64 is_less(__u64 high, __u64 low, __u64 than_high, __u64 than_low)
{
	__u64 high_borrows = (~high & than_high) | (~(high ^ than_high) & (high - than_high));
	__u64 low_borrows = (~low & than_low) | (~(low ^ than_low) & (low - than_low)), differ = high ^ than_high;

	return (high_borrows | (low_borrows & ~(differ | -differ))) >> 63;
}

#define RANGES_BITS 21

/* What follows takes the pointer of a row that has been found: 0 is for the verifier. */

/* Is an address, as a number, in one of the service's source ranges? */
__noinline int is_in_ranges(const struct service *s, __u64 high, __u64 low)
{
	struct source_range *r;
	__u32 at, n;

	if (!s)
		return 0;
	at = s->first_range;
	n = s->ranges;
	/* The last one that begins at or before the address is among the n from `at` on, or there is none. */
	for (int i = 0; i < RANGES_BITS && n > 1; i++) {
		__u32 half = n / 2, middle = at + half;

		r = bpf_map_lookup_elem(&source_ranges, &middle);
		if (!r)
			return 0;
		at += half & ((__u32)is_less(high, low, r->first_high, r->first_low) - 1);
		n -= half;
	}
	r = bpf_map_lookup_elem(&source_ranges, &at);
	return r && n && !is_less(high, low, r->first_high, r->first_low) && !is_less(r->last_high, r->last_low, high, low);
}

/* Is the service for the client of this flow? */
static __always_inline bool is_client(const struct service *s, const struct tuple *f)
{
	if (f->is_v6)
		return is_in_ranges(s, bpf_be64_to_cpu(load64(f->source)), bpf_be64_to_cpu(load64(f->source + 8)));
	return is_in_ranges(s, 0, 0xffffULL << 32 | bpf_ntohl(load32(f->source)));
}

/* Uses up what takes `cost` to earn, if no more than a burst is used up then. Where other CPUs are faster every time, they have
 * taken what there was. */
static __always_inline bool use_up(__u64 *until, __u64 cost, __u64 burst)
{
	if (burst < cost)
		burst = cost;
	for (int i = 0; i < 4; i++) {
		__u64 now = bpf_ktime_get_ns(), was = *(volatile __u64 *)until, from = was > now ? was : now;

		if (from + cost > now + burst)
			return false;
		if (__sync_val_compare_and_swap(until, was, from + cost) == was)
			return true;
	}
	return false;
}

/* May a flow begin now? */
static __always_inline bool take_flow(const struct service *s)
{
	__u32 id = s->id;
	struct rate_state *r = bpf_map_lookup_elem(&rate_states, &id);

	return r && use_up(&r->flows_until, second / s->flow_rate, s->burst * (second / 1000));
}

/* May a packet be forwarded now? A CPU takes as many at once as are earned in some 15 us: so the line that CPUs share is written
 * 65,536 times a second at most, however high the rate. */
static __always_inline bool take_packet(const struct service *s)
{
	__u32 id = s->id, rate = s->packet_rate, batch = (rate >> 16) + 1;
	__u32 *left = bpf_map_lookup_elem(&allowances, &id);
	struct rate_state *r;

	if (left && *left && *left < batch) { /* else they are of another rate */
		*left -= 1;
		return true;
	}
	r = bpf_map_lookup_elem(&rate_states, &id);
	if (!left || !r || !use_up(&r->packets_until, batch * second / rate, s->burst * (second / 1000)))
		return false;
	*left = batch - 1;
	return true;
}

/* Takes from the rates of a service what a packet needs that goes to a replica. That which begins a flow is asked for first: a
 * flood of them leaves packets to the flows that there are. Returns enum lb_reason. */
__noinline int take_rates(const struct service *s, __u32 begins)
{
	if (!s)
		return LB_TABLE_FAULT;
	if (begins && s->flow_rate && !take_flow(s))
		return LB_RATE_LIMITED_FLOWS;
	if (s->packet_rate && !take_packet(s))
		return LB_RATE_LIMITED_PACKETS;
	return LB_OK;
}
