/* Samples of packets with what became of them, for whoever watches. Go loads a program of
 * its own to watch with, in which `monitoring` is set: in the usual one the verifier
 * finds all of this dead and takes it out. */
#pragma once

#include "maps.h"
#include "words.h"

const volatile bool monitoring;

/* The frame as it came, before anything is written to it. */
static __always_inline void monitor_frame(struct xdp_md *ctx)
{
	__u32 zero = 0, bytes = ctx->data_end - ctx->data;
	struct sample *s = bpf_map_lookup_elem(&sampled, &zero);

	if (!s)
		return;
	s->length = bytes;
	s->captured = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
	if (s->captured)
		bpf_xdp_load_bytes(ctx, 0, s->frame, ((s->captured - 1) & (SAMPLE_BYTES - 1)) + 1);
}

static __always_inline bool is_wanted(const struct watching *w, enum lb_reason why, __u32 service)
{
	if (!(w->reasons >> why & 1))
		return false;
	return w->service == SERVICE_ANY || w->service == service;
}

/* Sends the sample on, if it is one in so many that are wanted. */
static __always_inline void monitor_reason(struct xdp_md *ctx, enum lb_reason why, __u32 service,
					   __u32 replica)
{
	__u32 zero = 0;
	struct sample *s = bpf_map_lookup_elem(&sampled, &zero);
	struct watching *w = bpf_map_lookup_elem(&watched, &zero);

	if (!s || !w || !is_wanted(w, why, service))
		return;
	if (s->seen++ % (w->every ? w->every : 1))
		return;
	s->time = bpf_ktime_get_ns();
	s->reason = why;
	s->ifindex = ctx->ingress_ifindex;
	s->queue = ctx->rx_queue_index;
	s->cpu = bpf_get_smp_processor_id();
	s->service = service;
	s->replica = replica;
	if (bpf_ringbuf_output(&samples, s, sizeof(*s), 0))
		__sync_fetch_and_add(&w->lost, 1);
}
