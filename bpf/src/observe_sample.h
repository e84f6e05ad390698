/* Samples for user space: the first bytes of packets that belong to no flow, and of each flow's
 * first packet. */
#pragma once

#include "observe.h"

#define SAMPLE_BYTES 256

struct sample {
	__u32 queue;
	__u32 cpu;
	__u32 hash;
	__u32 bytes; /* of the frame */
	__u16 vlan;  /* the tag that the driver took off */
	__u8 tagged; /* 1 if it took one off */
	__u8 hashed;
	__u8 recorded; /* 1 if it was counted under its flow as well */
	__u8 head[SAMPLE_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* Go sets what is wanted */
} samples SEC(".maps");

/* Whether samples are taken, and whether of all packets: then no flow is recorded. */
const volatile bool sampling, sample_all;

/* Returns a sample to fill in, or NULL if the ring is full. */
static __always_inline struct sample *sample_begin(const struct arrival *a, __u32 bytes, bool recorded)
{
	struct sample *s = bpf_ringbuf_reserve(&samples, sizeof(*s), 0);

	if (!s)
		return NULL;
	s->queue = a->queue;
	s->cpu = bpf_get_smp_processor_id();
	s->hash = a->hash;
	s->hashed = a->hashed;
	s->bytes = bytes;
	s->recorded = recorded;
	s->vlan = 0;
	s->tagged = 0;
	return s;
}

/* How many of a frame's first bytes a sample holds, 1 to all; see bounded. */
static __always_inline __u64 sample_length(__u64 bytes)
{
	return bounded(bytes > SAMPLE_BYTES ? SAMPLE_BYTES : bytes, SAMPLE_BYTES);
}
