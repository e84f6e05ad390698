/* The queue that a NIC would choose, for a TAP: the Toeplitz hash of a frame's fields by tables, and
 * an indirection table. Attached with TUNSETSTEERINGEBPF it returns the queue by which a frame leaves;
 * the driver takes the number modulo its queues.
 *
 * It shares no code with the balancer's hash or with the one in Go: the three are compared.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define TUPLE_BYTES 36 /* of IPv6: two addresses, two ports */
#define MAX_TAGS 2
#define MAX_EXTENSIONS 8

/* What byte value v at place i of the input adds; from the RSS key. */
const volatile __u32 rows[TUPLE_BYTES][256];
/* Whether the ports are hashed, of TCP and UDP over either; Go sets it. */
const volatile bool tcp4_ports, udp4_ports, tcp6_ports, udp6_ports;
/* The entries of the table in use, 1 to its size. */
volatile __u32 entries = 1;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1 << 16);
} indirection SEC(".maps");

/* A place in a frame and what is there. */
struct cursor {
	__u32 offset;
	__u8 next; /* the protocol at offset */
	bool fragment;
};

/* What is hashed: bytes of input, 0 for none. */
struct input {
	__u8 b[TUPLE_BYTES];
	__u32 bytes;
};

static __always_inline __u32 toeplitz(const struct input *in)
{
	__u32 h = 0;

	for (__u32 i = 0; i < TUPLE_BYTES && i < in->bytes; i++)
		h ^= rows[i][in->b[i]];
	return h;
}

static __always_inline bool read_v4(struct __sk_buff *skb, struct cursor *c, struct input *in)
{
	__u8 ip[20];

	if (bpf_skb_load_bytes(skb, c->offset, ip, sizeof(ip)) || (ip[0] & 0x0f) < 5)
		return false;
	__builtin_memcpy(in->b, ip + 12, 8);
	in->bytes = 8;
	c->next = ip[9];
	c->fragment = (ip[6] & 0x3f) || ip[7];
	c->offset += (ip[0] & 0x0f) * 4;
	return true;
}

/* Skips one extension header; false where there is none. */
static __always_inline bool skip_extension(struct __sk_buff *skb, struct cursor *c)
{
	__u8 header[2];

	switch (c->next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_MH:
	case 139: /* HIP, RFC 7401 */
	case 140: /* Shim6, RFC 5533 */
		break;
	default:
		return false;
	}
	if (c->fragment || bpf_skb_load_bytes(skb, c->offset, header, sizeof(header)))
		return false;
	c->fragment = c->next == IPPROTO_FRAGMENT;
	if (c->fragment)
		c->offset += 8;
	else if (c->next == IPPROTO_AH)
		c->offset += (header[1] + 2) * 4;
	else
		c->offset += (header[1] + 1) * 8;
	c->next = header[0];
	return true;
}

static __always_inline bool read_v6(struct __sk_buff *skb, struct cursor *c, struct input *in)
{
	__u8 ip[40];

	if (bpf_skb_load_bytes(skb, c->offset, ip, sizeof(ip)))
		return false;
	__builtin_memcpy(in->b, ip + 8, 32);
	in->bytes = 32;
	c->next = ip[6];
	c->offset += sizeof(ip);
	for (int i = 0; i < MAX_EXTENSIONS; i++)
		if (!skip_extension(skb, c))
			break;
	return true;
}

static __always_inline void add_ports(struct __sk_buff *skb, const struct cursor *c, struct input *in,
				      bool tcp, bool udp)
{
	__u8 ports[4];

	if (c->fragment || !((c->next == IPPROTO_TCP && tcp) || (c->next == IPPROTO_UDP && udp)))
		return;
	if (bpf_skb_load_bytes(skb, c->offset, ports, sizeof(ports)))
		return;
	if (in->bytes == 8)
		__builtin_memcpy(in->b + 8, ports, 4);
	else
		__builtin_memcpy(in->b + 32, ports, 4);
	in->bytes += 4;
}

/* Fills in what is hashed of a frame; false for what is not hashed. */
static __always_inline bool read_input(struct __sk_buff *skb, struct input *in)
{
	struct cursor c = { .offset = 2 * ETH_ALEN };
	__be16 type;

	for (int i = 0; i <= MAX_TAGS; i++) {
		if (bpf_skb_load_bytes(skb, c.offset, &type, sizeof(type)))
			return false;
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		c.offset += 4;
	}
	c.offset += 2;
	if (type == bpf_htons(ETH_P_IP) && read_v4(skb, &c, in)) {
		add_ports(skb, &c, in, tcp4_ports, udp4_ports);
		return true;
	}
	if (type == bpf_htons(ETH_P_IPV6) && read_v6(skb, &c, in)) {
		add_ports(skb, &c, in, tcp6_ports, udp6_ports);
		return true;
	}
	return false;
}

SEC("socket")
int steer(struct __sk_buff *skb)
{
	struct input in = {};
	__u32 index, size = entries, *queue;

	if (!read_input(skb, &in) || !size)
		return 0;
	index = toeplitz(&in) % size;
	queue = bpf_map_lookup_elem(&indirection, &index);
	return queue ? *queue : 0;
}

char LICENSE[] SEC("license") = "GPL";
