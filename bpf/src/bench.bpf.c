/* For timing a program that rewrites its packet. A test run does not restore the
 * packet between repetitions, so `next_frame` writes the next one of an array
 * of frames each time and then tail-calls the subject; `swap` is the least subject.
 * Never shipped: bindings are made for the benchmarks alone.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* A frame is written in words that begin at its byte 6, so that no header field
 * of Ethernet, IPv4, IPv6, TCP or UDP lies across two of them: a load would wait until both
 * stores have left the store buffer, which no frame that came by DMA makes it do. */
#define FRAME_WORDS 10
#define FRAME_BYTES (6 + 8 * FRAME_WORDS)

struct frame {
	__u64 word[FRAME_WORDS];
	__u32 first;
	__u16 second; /* bytes 0 to 3 and 4 to 5 */
	__u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct frame);
	__uint(max_entries, 1); /* Go says how many */
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} subject SEC(".maps");

/* The number of frames in use, a power of two, less one. */
const volatile __u32 last_frame;

/* Packets so far: signals restart a test run, so its own count is not to be trusted. */
__u64 packets;

SEC("xdp")
int next_frame(struct xdp_md *ctx)
{
	__u32 index = packets++ & last_frame;
	struct frame *f = bpf_map_lookup_elem(&frames, &index);
	int grown = ctx->data_end - ctx->data - FRAME_BYTES;
	void *frame;
	__u64 *to;

	if (grown && bpf_xdp_adjust_head(ctx, grown)) /* by an outer header */
		return XDP_ABORTED;
	frame = (void *)(long)ctx->data;
	to = frame + 6;
	if (!f || (void *)(to + FRAME_WORDS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*(__u32 *)frame = f->first;
	*(__u16 *)(frame + 4) = f->second;
#pragma unroll
	for (int i = 0; i < FRAME_WORDS; i++)
		to[i] = f->word[i];
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int swap(struct xdp_md *ctx)
{
	__u16 *mac = (void *)(long)ctx->data;

	if ((void *)(mac + 6) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		__u16 word = mac[i];

		mac[i] = mac[i + 3];
		mac[i + 3] = word;
	}
	return XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
