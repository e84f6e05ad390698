/* Samples of packets and of what became of them, for monitors. Only the program lb_monitored
 * contains this; it replaces lb while there are monitors. */
#pragma once

#include "maps.h"
#include "memory.h"

static __always_inline struct sample *sample_buffer(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sample_buffers, &zero);
}

/* Copies the frame as it came, before anything is written to it. A global function, as monitor_reason: the verifier
 * examines it once, and what it learns inside about the length does not divide all paths that follow. */
__noinline int monitor_frame(struct xdp_md *ctx)
{
	__u32 bytes = ctx->data_end - ctx->data;
	struct sample *s = sample_buffer();

	if (!s)
		return 0;
	__builtin_memset(&s->vip, 0, sizeof(s->vip));
	__builtin_memset(&s->replica, 0, sizeof(s->replica));
	s->length = bytes;
	s->captured = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
	if (s->captured)
		bpf_xdp_load_bytes(ctx, 0, s->frame, ((s->captured - 1) & (SAMPLE_BYTES - 1)) + 1);
	return 0;
}

/* Notes the VIP that the packet is to. What is known is noted at once: what is kept for later keeps the verifier
 * from joining the paths of the program. */
static __always_inline void monitor_service(const struct service *service)
{
	struct sample *s = sample_buffer();

	if (s)
		s->vip = service->vip;
}

/* Notes the VIP and the replica that the packet is an answer from. */
static __always_inline void monitor_answer(const struct rev_nat *rev_nat)
{
	struct sample *s = sample_buffer();

	if (!s)
		return;
	s->replica = rev_nat->replica;
	s->vip = rev_nat->replica;
	copy16(s->vip.address, rev_nat->address);
	copy2(s->vip.port, rev_nat->port);
}

/* Notes the replica that was picked for the packet. */
static __always_inline void monitor_replica(const struct replica *replica)
{
	struct sample *s = sample_buffer();

	if (!s || !replica)
		return;
	copy16(s->replica.address, replica->address);
	copy2(s->replica.port, replica->port);
	s->replica.protocol = s->vip.protocol;
	s->replica.ip_version = replica->ip_version;
}

static __always_inline bool is_wanted(const struct sample_filter *f, const struct sample *s)
{
	if (!(f->reasons >> s->reason & 1))
		return false;
	if (!f->vip.protocol)
		return true;
	return load64(f->vip.address) == load64(s->vip.address) &&
	       load64(f->vip.address + 8) == load64(s->vip.address + 8) &&
	       load32(f->vip.port) == load32(s->vip.port);
}

/* Hands the sample to user space if the filter lets it through, one in `every`. A global function: the verifier
 * examines it once, not again for each path that leads to it. */
__noinline int monitor_reason(struct xdp_md *ctx, enum lb_reason why)
{
	__u32 zero = 0;
	struct sample *s = sample_buffer();
	struct sample_filter *f = bpf_map_lookup_elem(&sample_filters, &zero);

	if (!s || !f)
		return 0;
	s->reason = why;
	if (!is_wanted(f, s))
		return 0;
	s->every = f->every ? f->every : 1;
	if (s->seen++ % s->every)
		return 0;
	s->time = bpf_ktime_get_ns();
	s->ifindex = ctx->ingress_ifindex;
	s->queue = ctx->rx_queue_index;
	s->cpu = bpf_get_smp_processor_id();
	if (bpf_ringbuf_output(&samples, s, sizeof(*s), 0))
		__sync_fetch_and_add(&f->lost, 1);
	return 0;
}
