/* The observer: which receive queue and which CPU each flow was seen on.
 *
 * Two doors to one room. `observe_alone` is an XDP program for an interface that
 * has none; `observe_beside` is attached to the entry of an XDP program that is
 * there already, and leaves it as it is.
 */
#include "observe.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* Of the kernel's structs only what is read here; CO-RE finds the offsets. */
struct net_device {
	int ifindex;
} __attribute__((preserve_access_index));

struct xdp_rxq_info {
	struct net_device *dev;
	__u32 queue_index;
} __attribute__((preserve_access_index));

struct xdp_buff {
	void *data;
	void *data_end;
	struct xdp_rxq_info *rxq;
} __attribute__((preserve_access_index));

/* The interface that observe_beside records; the program beside which it stands may serve others. */
const volatile __u32 only_ifindex;

static __always_inline __u32 head_bytes(__u64 frame)
{
	return frame < HEAD_BYTES ? frame : HEAD_BYTES;
}

SEC("xdp")
int observe_alone(struct xdp_md *ctx)
{
	__u32 bytes = head_bytes(ctx->data_end - ctx->data);
	struct head h = {};

	if (bytes < 1 || bpf_xdp_load_bytes(ctx, 0, h.b, bytes))
		tally(SIGHT_NO_FLOW);
	else
		tally(record(&h, ctx->rx_queue_index));
	return XDP_PASS;
}

SEC("fentry/lb")
int BPF_PROG(observe_beside, struct xdp_buff *xdp)
{
	__u32 bytes = head_bytes(xdp->data_end - xdp->data);
	struct head h = {};

	if ((__u32)xdp->rxq->dev->ifindex != only_ifindex)
		return 0;
	if (bpf_probe_read_kernel(h.b, bytes, xdp->data))
		tally(SIGHT_NO_FLOW);
	else
		tally(record(&h, xdp->rxq->queue_index));
	return 0;
}

/* Keeps the enum in BTF, where Go reads it. */
const enum sight *_sight __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
