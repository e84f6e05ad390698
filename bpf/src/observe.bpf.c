/* The observer: on which receive queue and CPU each flow was seen, and with which hash if the NIC
 * tells.
 *
 * `observe` is the only XDP program of an interface and passes everything, or it hands each packet
 * unchanged to another XDP program. `observe_hash` is bound to its device, whose driver it asks for the
 * hash; no program can follow it. `observe_socket` is the filter of a packet socket and accepts nothing:
 * it sees what the interface hands to the stack.
 */
#include "observe.h"

/* The program after the observer, if there is one. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} behind SEC(".maps");

/* As the kernel has it (include/net/xdp.h): bits say what was hashed, 0 nothing. */
enum xdp_rss_hash_type { XDP_RSS_TYPE_NONE };

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash,
				    enum xdp_rss_hash_type *rss_type) __ksym;

static __always_inline __u64 head_length(__u64 bytes)
{
	return bounded(bytes > HEAD_BYTES ? HEAD_BYTES : bytes, HEAD_ROOM);
}

/* Copies the first bytes of a frame. is_skb is a constant and says of what ctx is the context. */
static __always_inline long load(void *ctx, bool is_skb, void *to, __u64 length)
{
	return is_skb ? bpf_skb_load_bytes(ctx, 0, to, length) : bpf_xdp_load_bytes(ctx, 0, to, length);
}

static __always_inline bool take_sample(void *ctx, bool is_skb, const struct arrival *a, bool recorded)
{
	__u64 length = sample_length(a->bytes);
	struct sample *s = sample_begin(a, recorded);

	if (!s)
		return false;
	if (load(ctx, is_skb, s->head, length)) {
		bpf_ringbuf_discard(s, 0);
		return false;
	}
	bpf_ringbuf_submit(s, 0);
	return true;
}

static __always_inline enum sight sight_of(void *ctx, bool is_skb, const struct arrival *a)
{
	__u64 length = head_length(a->bytes);
	enum sight s = SIGHT_NO_FLOW;
	struct head h = {};
	bool first = false;

	if (load(ctx, is_skb, h.b, length))
		return SIGHT_NO_FLOW;
	if (!sample_all && !a->tagged)
		s = record(&h, a, &first);
	if (!sampling || (s == SIGHT_RECORDED && !first))
		return s;
	if (take_sample(ctx, is_skb, a, s == SIGHT_RECORDED) && s != SIGHT_RECORDED)
		return SIGHT_SAMPLED;
	return s;
}

SEC("xdp")
int observe(struct xdp_md *ctx)
{
	struct arrival a = { .queue = ctx->rx_queue_index, .bytes = ctx->data_end - ctx->data };

	tally(sight_of(ctx, false, &a));
	bpf_tail_call(ctx, &behind, 0);
	return XDP_PASS;
}

SEC("xdp")
int observe_hash(struct xdp_md *ctx)
{
	enum xdp_rss_hash_type type = XDP_RSS_TYPE_NONE;
	struct arrival a = { .queue = ctx->rx_queue_index, .bytes = ctx->data_end - ctx->data };
	__u32 hash = 0;

	if (!bpf_xdp_metadata_rx_hash(ctx, &hash, &type) && type != XDP_RSS_TYPE_NONE) {
		a.hash = hash;
		a.hashed = 1;
	}
	tally(sight_of(ctx, false, &a));
	return XDP_PASS;
}

#define PACKET_OUTGOING 4 /* include/uapi/linux/if_packet.h */

SEC("socket")
int observe_socket(struct __sk_buff *skb)
{
	/* The stack numbers receive queues from 1: 0 is none (skb_record_rx_queue). */
	__u32 queue = skb->queue_mapping;
	struct arrival a = { .queue = queue ? queue - 1 : 0, .hash = skb->hash, .bytes = skb->len };

	a.hashed = a.hash != 0;
	a.vlan = skb->vlan_tci;
	a.tagged = !!skb->vlan_present;
	if (skb->pkt_type != PACKET_OUTGOING)
		tally(sight_of(skb, true, &a));
	return 0; /* nothing for the socket */
}

/* Keeps the enum in BTF, where Go reads it, and the sample's layout. */
const enum sight *_sight __attribute__((unused));
const struct sample *_sample __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
