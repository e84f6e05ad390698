/* Samples of packets and of what became of them, for monitors. Only the program lb_monitored
 * contains this; it replaces lb while there are monitors. */
#pragma once

#include "maps.h"
#include "memory.h"

/* Copies the frame as it came, before anything is written to it. */
static __always_inline void monitor_frame(struct xdp_md *ctx)
{
	__u32 zero = 0, bytes = ctx->data_end - ctx->data;
	struct sample *s = bpf_map_lookup_elem(&sample_buffers, &zero);

	if (!s)
		return;
	s->length = bytes;
	s->captured = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
	if (s->captured)
		bpf_xdp_load_bytes(ctx, 0, s->frame, ((s->captured - 1) & (SAMPLE_BYTES - 1)) + 1);
}

/* Notes the VIP and the replica that the packet is to, or an answer from; protocol 0 is none. */
static __always_inline void monitor_ends(struct sample *s, const struct service *service,
					 const struct replica *replica, const struct rev_nat *rev_nat)
{
	__builtin_memset(&s->vip, 0, sizeof(s->vip));
	__builtin_memset(&s->replica, 0, sizeof(s->replica));
	if (service) {
		s->vip = service->vip;
		if (!replica)
			return;
		copy16(s->replica.address, replica->address);
		copy2(s->replica.port, replica->port);
		s->replica.protocol = service->vip.protocol;
		s->replica.ip_version = replica->ip_version;
	} else if (rev_nat) {
		s->replica = rev_nat->replica;
		s->vip = rev_nat->replica;
		copy16(s->vip.address, rev_nat->address);
		copy2(s->vip.port, rev_nat->port);
	}
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

/* Hands the sample to user space if the filter lets it through, one in `every`. */
static __always_inline void monitor_reason(struct xdp_md *ctx, enum lb_reason why,
					   const struct service *service, const struct replica *replica,
					   const struct rev_nat *rev_nat)
{
	__u32 zero = 0;
	struct sample *s = bpf_map_lookup_elem(&sample_buffers, &zero);
	struct sample_filter *f = bpf_map_lookup_elem(&sample_filters, &zero);

	if (!s || !f)
		return;
	s->reason = why;
	monitor_ends(s, service, replica, rev_nat);
	if (!is_wanted(f, s))
		return;
	s->every = f->every ? f->every : 1;
	if (s->seen++ % s->every)
		return;
	s->time = bpf_ktime_get_ns();
	s->ifindex = ctx->ingress_ifindex;
	s->queue = ctx->rx_queue_index;
	s->cpu = bpf_get_smp_processor_id();
	if (bpf_ringbuf_output(&samples, s, sizeof(*s), 0))
		__sync_fetch_and_add(&f->lost, 1);
}
