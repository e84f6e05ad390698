/* For timing a program that rewrites its packet. A test run does not restore the
 * packet between repetitions, so `next_frame` writes the next one of many
 * frames each time and then tail-calls the subject; `swap` is the least subject.
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

/* Frames are computed from one, not read from a table of them, which would take the caches from the subject. Frame n is of
 * flow n and of service n, in turn; they differ in so many words. */
#define WORDS 3
#define DIGITS 4

/* A byte of the number of the flow or of the service, which is added to a word of the frame. */
struct digit {
	__u8 used;
	__u8 of_service;
	__u8 right; /* how far the number is shifted, in bits, before its last byte is taken */
	__u8 left;  /* and how far that, in the word */
};

const volatile __u64 template[FRAME_WORDS];
const volatile __u32 first;
const volatile __u16 second; /* bytes 0 to 3 and 4 to 5 */
const volatile __u64 words[WORDS]; /* which they are; FRAME_WORDS: none */
const volatile struct digit digits[WORDS * DIGITS];
const volatile __u32 last_flow; /* a power of two, less one */
const volatile __u32 services;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} subject SEC(".maps");

/* Packets so far: signals restart a test run, so its own count is not to be trusted. */
__u64 packets;

static __always_inline __u64 added(int word, __u32 flow, __u32 service)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = word * DIGITS; i < (word + 1) * DIGITS; i++) {
		__u64 number = digits[i].of_service ? service : flow;

		if (digits[i].used)
			sum += (number >> (digits[i].right & 63) & 0xff) << (digits[i].left & 63);
	}
	return sum;
}

SEC("xdp")
int next_frame(struct xdp_md *ctx)
{
	int grown = ctx->data_end - ctx->data - FRAME_BYTES;
	__u64 add[WORDS], at[WORDS], word, *to;
	__u32 flow, service;
	void *frame;

	if (grown && bpf_xdp_adjust_head(ctx, grown)) /* by an outer header */
		return XDP_ABORTED;
	flow = packets & last_flow;
	service = packets % services;
	packets++;
#pragma unroll
	for (int i = 0; i < WORDS; i++) {
		at[i] = words[i];
		add[i] = added(i, flow, service);
	}
	frame = (void *)(long)ctx->data;
	to = frame + 6;
	if ((void *)(to + FRAME_WORDS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*(__u32 *)frame = first;
	*(__u16 *)(frame + 4) = second;
#pragma unroll
	for (__u32 i = 0; i < FRAME_WORDS; i++) {
		word = template[i];
#pragma unroll
		for (int k = 0; k < WORDS; k++)
			if (at[k] == i)
				word += add[k];
		to[i] = word;
	}
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
