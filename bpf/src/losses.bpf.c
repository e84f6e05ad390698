/* What is lost after an XDP program has said where a packet goes: the kernel and the driver of the interface may still drop
 * it. They tell only the tracepoints. Each runs for all XDP programs of the machine; what is counted is what came in on an
 * interface of one network namespace.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Of the network namespace: the inode of its file. Set by Go. */
const volatile __u32 network;

enum loss_cause {
	LOSS_REDIRECT, /* the interface does not take the packet: it is down, gone, too narrow, or its driver has no XDP */
	LOSS_TRANSMIT, /* its driver does not send it: a full ring, a peer that does not receive */
	LOSS_TX,       /* the same, on the interface that it came in on */
	LOSS_CAUSES,
};

struct loss_key {
	__u32 from; /* index of the interface that it came in on */
	__u32 to;   /* index of that which it should have left by */
	__u32 cause; /* enum loss_cause */
};

struct loss {
	__u64 packets;
	__s32 error; /* the last one, negative */
	__u32 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct loss_key);
	__type(value, struct loss);
	__uint(max_entries, 4096);
} losses SEC(".maps");

/* Of the kernel's own types what is read here; the loader finds where it is. */
#define KERNEL __attribute__((preserve_access_index))

struct ns_common {
	unsigned int inum;
} KERNEL;

struct net {
	struct ns_common ns;
} KERNEL;

typedef struct {
	struct net *net;
} KERNEL possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} KERNEL;

static __always_inline int add(const struct net_device *from, __u32 to, __u32 cause, __u32 packets, __s32 error)
{
	struct loss_key k = { .to = to, .cause = cause };
	struct loss none = {}, *l;

	if (!packets || from->nd_net.net->ns.inum != network)
		return 0;
	k.from = from->ifindex;
	l = bpf_map_lookup_elem(&losses, &k);
	if (!l) {
		bpf_map_update_elem(&losses, &k, &none, BPF_NOEXIST);
		l = bpf_map_lookup_elem(&losses, &k);
		if (!l)
			return 0;
	}
	__sync_fetch_and_add(&l->packets, packets);
	l->error = error;
	return 0;
}

/* (device, program, target, error, map type, map id, index of the interface) */
SEC("tp_btf/xdp_redirect_err")
int lost_redirect(__u64 *ctx)
{
	return add((const struct net_device *)ctx[0], ctx[6], LOSS_REDIRECT, 1, ctx[3]);
}

/* (from, to, sent, dropped, error), of a bulk of packets */
SEC("tp_btf/xdp_devmap_xmit")
int lost_transmit(__u64 *ctx)
{
	__u32 dropped = ctx[3];

	if (!dropped)
		return 0;
	return add((const struct net_device *)ctx[0], ((const struct net_device *)ctx[1])->ifindex, LOSS_TRANSMIT, dropped,
		   ctx[4]);
}

/* (device, sent, dropped, error), of a bulk of packets */
SEC("tp_btf/xdp_bulk_tx")
int lost_tx(__u64 *ctx)
{
	const struct net_device *device = (const struct net_device *)ctx[0];
	__u32 dropped = ctx[2];

	return dropped ? add(device, device->ifindex, LOSS_TX, dropped, ctx[3]) : 0;
}

/* Keeps the enum in BTF, where Go reads it. */
const enum loss_cause *_loss_cause __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
