/* The observer: which receive queue and which CPU each flow was seen on.
 *
 * It stands alone on an interface and passes everything on, or before another XDP
 * program, to which it hands each packet as it came.
 */
#include "observe.h"

/* The program behind the observer, if there is one. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} behind SEC(".maps");

static __always_inline enum sight observe_frame(struct xdp_md *ctx)
{
	__u64 bytes = ctx->data_end - ctx->data;
	struct head h = {};

	if (bytes > HEAD_BYTES)
		bytes = HEAD_BYTES;
	asm volatile("%0 &= 63" : "+r"(bytes)); /* for the verifier, out of the compiler's sight */
	if (!bytes || bpf_xdp_load_bytes(ctx, 0, h.b, bytes))
		return SIGHT_NO_FLOW;
	return record(&h, ctx->rx_queue_index);
}

_Static_assert(HEAD_BYTES < 64, "the mask leaves the length as it is");

SEC("xdp")
int observe(struct xdp_md *ctx)
{
	tally(observe_frame(ctx));
	bpf_tail_call(ctx, &behind, 0);
	return XDP_PASS;
}

/* Keeps the enum in BTF, where Go reads it. */
const enum sight *_sight __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
