/* Health checks that go the way of clients' packets in the modes dsr and ipip, beside the XDP program, which does not see what
 * its own host sends. A check's socket is connected to a peer that stands for the VIP at one replica: in general the replica's
 * own address, so that route, neighbour, firewall and source address are the kernel's for that replica. On the wire the VIP
 * stands in place of the peer: lb_check_sent puts it there, and the outer headers around it, as the XDP program would;
 * lb_check_answered puts the peer back as the source of what the replica answers. So the VIP need not be routed anywhere, and
 * may be an address of this host.
 *
 * Both run for every packet of an interface. What is no check's leaves the first one by its mark, and the second one by its
 * destination port, at which no check is.
 */
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include "headers.h"
#include "jhash.h"
#include "outer.h"

/* That of the sockets of checks. Set by Go. */
const volatile __u32 check_mark;

/* To whom a socket talks. It is the socket's own, from before it is connected until it is gone. IPv4 addresses are mapped. */
struct target {
	__u8 vip[16];
	__u8 peer[16];	       /* what the socket takes for the VIP */
	__u8 replica[16];
	__u8 source[16];       /* our address towards the replica */
	__u8 first_source[16]; /* see struct service */
	__u32 sources;
	__u32 seed;	     /* of jhash */
	__u32 ifindex;	     /* the socket's interface */
	__u32 onward;	     /* that towards the replica, if the replica is not the peer; else 0 */
	__u8 tunnel_port[2]; /* see struct service */
	__u8 udp_bytes;
	__u8 mode;	 /* enum lb_mode */
	__u8 ip_version; /* of the replica's address */
	__u8 zero[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct target);
} targets SEC(".maps");

/* What a check's answers are known by. A port is that of one socket of its protocol: the checks' are bound. */
struct flow {
	__u8 vip[16];
	__u8 peer[16];
	__u32 ifindex; /* the socket's interface; 0: no check has had the port */
	__be16 port;   /* of the VIP */
	__u16 zero;
};

/* By our own port, and UDP's after those of TCP. It is written when a check sends, and stays: whether the check's socket is still
 * there is asked before a packet is changed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct flow);
	__uint(max_entries, 2 << 16);
} flows SEC(".maps");

/* What is in front of the addresses, and the checksums. */
#define V4(field) (ETH_HLEN + (int)__builtin_offsetof(struct iphdr, field))
#define V6(field) (ETH_HLEN + (int)__builtin_offsetof(struct ipv6hdr, field))

#define L4_OF_V4 (ETH_HLEN + (int)sizeof(struct iphdr))
#define L4_OF_V6 (ETH_HLEN + (int)sizeof(struct ipv6hdr))

/* The first four bytes of TCP and UDP. */
struct ports {
	__be16 source, destination;
};

static __always_inline struct flow *flow_at(__u8 protocol, __be16 port)
{
	__u32 at = bpf_ntohs(port) | (protocol == IPPROTO_UDP ? 1 << 16 : 0);

	return bpf_map_lookup_elem(&flows, &at);
}

/* Where the checksum of TCP, UDP or ICMPv6 is in its header. */
static __always_inline int sum_at(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_UDP:
		return __builtin_offsetof(struct udphdr, check);
	case IPPROTO_ICMPV6:
		return __builtin_offsetof(struct icmp, check);
	}
	return __builtin_offsetof(struct tcphdr, check);
}

/* For bpf_l4_csum_replace: an address changes, which is in the pseudo header; and UDP may have no checksum. */
static __always_inline __u64 sum_flags(__u8 protocol)
{
	return BPF_F_PSEUDO_HDR | (protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);
}

/* Replaces an IPv4 address of a packet, whose header has no options. */
static __always_inline bool replace_v4(struct __sk_buff *skb, int at, __u32 from, __u32 to, __u8 protocol)
{
	return !bpf_l3_csum_replace(skb, V4(check), from, to, sizeof(to)) &&
	       !bpf_l4_csum_replace(skb, L4_OF_V4 + sum_at(protocol), from, to,
				    sum_flags(protocol) | sizeof(to)) &&
	       !bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0);
}

/* Replaces an IPv6 address of a packet without extension headers. A driver's sum of the whole packet (CHECKSUM_COMPLETE) does not
 * change, since the address and the checksum make up for each other. bpf_l4_csum_replace takes the change of the checksum into
 * that sum, and BPF_F_RECOMPUTE_CSUM that of the address. */
static __always_inline bool replace_v6(struct __sk_buff *skb, int at, const __u8 from[16], const __u8 to[16], __u8 protocol)
{
	__s64 difference = bpf_csum_diff((__be32 *)from, 16, (__be32 *)to, 16, 0);

	return difference >= 0 &&
	       !bpf_l4_csum_replace(skb, L4_OF_V6 + sum_at(protocol), 0, difference, sum_flags(protocol)) &&
	       !bpf_skb_store_bytes(skb, at, to, 16, BPF_F_RECOMPUTE_CSUM);
}

/* What a packet of a check is, beside its target. */
struct sent {
	__u32 hash;  /* of its flow, as it is on the wire */
	__u32 bytes; /* from the IP header on */
	__u8 class;
	bool is_v6;
};

static __always_inline bool note(const struct target *t, __u8 protocol, const struct ports *p)
{
	struct flow *f = flow_at(protocol, p->source);

	if (!f)
		return false;
	copy16(f->vip, t->vip);
	copy16(f->peer, t->peer);
	f->port = p->destination;
	f->ifindex = t->ifindex;
	return true;
}

/* Puts the VIP in the place of the peer. What is cut into fragments has no ports to tell it by, and is not sent. */
static __always_inline bool address_v4(struct __sk_buff *skb, const struct target *t, struct sent *s)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct ports *ports = (void *)(ip + 1);
	struct tuple flow = { .source = &ip->saddr, .destination = t->vip + 12 };

	if (PAST_END(ports, end) || ip->ihl != 5 || ip->frag_off & MORE_OR_OFFSET || ip->daddr != mapped_v4(t->peer) ||
	    !has_ports((struct l4_type){ ip->protocol }) || !note(t, ip->protocol, ports))
		return false;
	flow.ports = load32(ports);
	s->hash = jhash_v4(&flow, t->seed);
	s->class = ip->tos;
	return replace_v4(skb, V4(daddr), ip->daddr, mapped_v4(t->vip), ip->protocol);
}

static __always_inline bool address_v6(struct __sk_buff *skb, const struct target *t, struct sent *s)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip = data + ETH_HLEN;
	struct ports *ports = (void *)(ip + 1);
	struct tuple flow = { .source = &ip->saddr, .destination = t->vip };

	if (PAST_END(ports, end) || !has_ports((struct l4_type){ ip->nexthdr }) || !equal16(&ip->daddr, t->peer) ||
	    !note(t, ip->nexthdr, ports))
		return false;
	flow.ports = load32(ports);
	s->hash = jhash_v6(&flow, t->seed);
	s->class = bpf_ntohs(load16(ip)) >> 4;
	s->is_v6 = true;
	return replace_v6(skb, V6(daddr), t->peer, t->vip, ip->nexthdr);
}

/* Puts the outer headers around the packet, those of leave.h. The socket keeps its segments so short that there is room. */
static __always_inline bool wrap(struct __sk_buff *skb, const struct target *t, const struct sent *s)
{
	struct service service = { .sources = t->sources, .udp_bytes = t->udp_bytes, .flags = SERVICE_SPREADS };
	__u8 next = s->is_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	struct replica replica = { .ip_version = t->ip_version };
	bool to_v6 = t->ip_version == 6;
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | (to_v6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4);
	void *data, *end;

	copy16(service.first_source, t->first_source);
	copy2(service.tunnel_port, t->tunnel_port);
	if (t->udp_bytes)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	if (bpf_skb_adjust_room(skb, outer_bytes(&service, &replica), BPF_ADJ_ROOM_MAC, flags))
		return false;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (to_v6)
		return wrap_v6(data + ETH_HLEN, end, &service, t->source, t->replica, s->bytes, s->class, next, s->hash);
	return wrap_v4(data + ETH_HLEN, end, &service, mapped_v4(t->source), mapped_v4(t->replica), s->bytes, s->class, next, s->hash);
}

SEC("tc")
int lb_check_sent(struct __sk_buff *skb)
{
	struct sent s = { .bytes = skb->len - ETH_HLEN };
	struct bpf_sock *sk;
	struct target *t;

	if (likely(skb->mark != check_mark))
		return TC_ACT_UNSPEC;
	sk = skb->sk;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	t = sk ? bpf_sk_storage_get(&targets, sk, 0, 0) : NULL;
	if (!t) /* somebody else's, of another balancer for instance */
		return TC_ACT_UNSPEC;
	skb->mark = 0; /* the interface below this one may have the program, too */
	if (skb->protocol == L3_IPV6.wire ? !address_v6(skb, t, &s) : !address_v4(skb, t, &s))
		return TC_ACT_SHOT;
	if (t->mode == LB_MODE_IPIP && !wrap(skb, t, &s))
		return TC_ACT_SHOT;
	return t->onward ? bpf_redirect_neigh(t->onward, NULL, 0, 0) : TC_ACT_UNSPEC;
}

/* Makes so many bytes from the front of the frame readable. */
static __always_inline bool readable(struct __sk_buff *skb, __u32 bytes)
{
	if (likely(skb->data + bytes <= skb->data_end))
		return true;
	return !bpf_skb_pull_data(skb, bytes);
}

/* Is there still a socket of a check that takes what comes from the peer? */
static __always_inline bool is_awaited(struct __sk_buff *skb, struct bpf_sock_tuple *ends, __u32 bytes, __u8 protocol, const __u8 vip[16])
{
	struct bpf_sock *sk;
	struct target *t;
	bool is = false;

	if (protocol == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(skb, ends, bytes, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(skb, ends, bytes, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	t = bpf_sk_storage_get(&targets, sk, 0, 0);
	if (t)
		is = equal16(t->vip, vip);
	bpf_sk_release(sk);
	return is;
}

/* A packet of the VIP may come in elsewhere than its socket expects it, by another of several routes. */
static __always_inline int bring(struct __sk_buff *skb, const struct flow *f)
{
	return bpf_redirect(f->ifindex, BPF_F_INGRESS);
}

/* The frame may have been brought here, and has another interface's address. */
static __always_inline void take(struct __sk_buff *skb)
{
	if (skb->pkt_type == PACKET_OTHERHOST)
		bpf_skb_change_type(skb, PACKET_HOST);
}

/* An ICMP error about a check's packet, which the socket takes for one to the peer: its quote gets the peer as destination. */
static __always_inline int refused_v4(struct __sk_buff *skb)
{
	const int quoted = L4_OF_V4 + sizeof(struct icmp);
	struct bpf_sock_tuple ends __attribute__((aligned(8))) = {};
	void *data, *end;
	struct iphdr *ip, *quote;
	struct ports *ports;
	__u32 vip, peer;
	struct flow *f;
	bool by_vip;

	if (!readable(skb, quoted + sizeof(*quote) + sizeof(*ports)))
		return TC_ACT_UNSPEC;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	ip = data + ETH_HLEN;
	quote = data + quoted;
	ports = (void *)(quote + 1);
	if (PAST_END(ports, end) || ip->ihl != 5 || ip->frag_off & MORE_OR_OFFSET || quote->ihl != 5 ||
	    ((struct icmp *)(ip + 1))->type != 3 || !has_ports((struct l4_type){ quote->protocol }))
		return TC_ACT_UNSPEC;
	f = flow_at(quote->protocol, ports->source);
	if (!f || !f->ifindex || f->port != ports->destination || mapped_v4(f->vip) != quote->daddr)
		return TC_ACT_UNSPEC;
	if (f->ifindex != skb->ifindex)
		return bring(skb, f);
	vip = mapped_v4(f->vip);
	peer = mapped_v4(f->peer);
	by_vip = ip->saddr == vip;
	ends.ipv4.saddr = peer;
	ends.ipv4.daddr = quote->saddr;
	ends.ipv4.sport = ports->destination;
	ends.ipv4.dport = ports->source;
	if (!is_awaited(skb, &ends, sizeof(ends.ipv4), quote->protocol, f->vip))
		return TC_ACT_UNSPEC;
	/* The sum of the quoted header does not change, nor does that of the message. */
	if (bpf_l3_csum_replace(skb, quoted + __builtin_offsetof(struct iphdr, check), vip, peer, sizeof(peer)) ||
	    bpf_skb_store_bytes(skb, quoted + __builtin_offsetof(struct iphdr, daddr), &peer, sizeof(peer), 0))
		return TC_ACT_SHOT;
	if (by_vip && (bpf_l3_csum_replace(skb, V4(check), vip, peer, sizeof(peer)) ||
		       bpf_skb_store_bytes(skb, V4(saddr), &peer, sizeof(peer), 0)))
		return TC_ACT_SHOT;
	take(skb);
	return TC_ACT_UNSPEC;
}

static __always_inline int refused_v6(struct __sk_buff *skb)
{
	const int quoted = L4_OF_V6 + sizeof(struct icmp);
	struct bpf_sock_tuple ends __attribute__((aligned(8))) = {};
	struct ipv6hdr *ip, *quote;
	void *data, *end;
	struct ports *ports;
	struct flow *f;
	bool by_vip;
	__s64 sum;

	if (!readable(skb, quoted + sizeof(*quote) + sizeof(*ports)))
		return TC_ACT_UNSPEC;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	ip = data + ETH_HLEN;
	quote = data + quoted;
	ports = (void *)(quote + 1);
	if (PAST_END(ports, end) || ((struct icmp *)(ip + 1))->type != 1 || !has_ports((struct l4_type){ quote->nexthdr }))
		return TC_ACT_UNSPEC;
	f = flow_at(quote->nexthdr, ports->source);
	if (!f || !f->ifindex || f->port != ports->destination || !equal16(f->vip, &quote->daddr))
		return TC_ACT_UNSPEC;
	if (f->ifindex != skb->ifindex)
		return bring(skb, f);
	by_vip = equal16(f->vip, &ip->saddr);
	copy16(ends.ipv6.saddr, f->peer);
	copy16(ends.ipv6.daddr, &quote->saddr);
	ends.ipv6.sport = ports->destination;
	ends.ipv6.dport = ports->source;
	if (!is_awaited(skb, &ends, sizeof(ends.ipv6), quote->nexthdr, f->vip))
		return TC_ACT_UNSPEC;
	sum = bpf_csum_diff((__be32 *)f->vip, 16, (__be32 *)f->peer, 16, 0);
	if (sum < 0 || bpf_l4_csum_replace(skb, L4_OF_V6 + sum_at(IPPROTO_ICMPV6), 0, sum, 0) ||
	    bpf_skb_store_bytes(skb, quoted + __builtin_offsetof(struct ipv6hdr, daddr), f->peer, 16, 0))
		return TC_ACT_SHOT;
	if (by_vip && !replace_v6(skb, V6(saddr), f->vip, f->peer, IPPROTO_ICMPV6))
		return TC_ACT_SHOT;
	take(skb);
	return TC_ACT_UNSPEC;
}

/* A packet of the VIP gets the peer as its source. One of the peer itself is no answer for a client: it has not been sent by the
 * VIP, as UDP is by a server that does not look at the address it was asked at. */
static __always_inline int answered_v4(struct __sk_buff *skb)
{
	struct bpf_sock_tuple ends __attribute__((aligned(8))) = {};
	void *data, *end;
	struct ports *ports;
	struct iphdr *ip;
	struct flow *f;
	__u8 protocol;
	bool by_vip;

	if (!readable(skb, ETH_HLEN + sizeof(*ip) + sizeof(*ports)))
		return TC_ACT_UNSPEC;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	ip = data + ETH_HLEN;
	ports = (void *)(ip + 1);
	if (PAST_END(ports, end))
		return TC_ACT_UNSPEC;
	if (unlikely(ip->protocol == IPPROTO_ICMP))
		return refused_v4(skb);
	if (ip->ihl != 5 || ip->frag_off & MORE_OR_OFFSET || !has_ports((struct l4_type){ ip->protocol }))
		return TC_ACT_UNSPEC;
	f = flow_at(ip->protocol, ports->destination);
	if (likely(!f || !f->ifindex || f->port != ports->source))
		return TC_ACT_UNSPEC;
	by_vip = ip->saddr == mapped_v4(f->vip);
	if (!by_vip && ip->saddr != mapped_v4(f->peer))
		return TC_ACT_UNSPEC;
	if (by_vip && f->ifindex != skb->ifindex)
		return bring(skb, f);
	protocol = ip->protocol;
	ends.ipv4.saddr = mapped_v4(f->peer);
	ends.ipv4.daddr = ip->daddr;
	ends.ipv4.sport = ports->source;
	ends.ipv4.dport = ports->destination;
	if (!is_awaited(skb, &ends, sizeof(ends.ipv4), protocol, f->vip))
		return TC_ACT_UNSPEC;
	if (!by_vip || !replace_v4(skb, V4(saddr), mapped_v4(f->vip), ends.ipv4.saddr, protocol))
		return TC_ACT_SHOT;
	take(skb);
	return TC_ACT_UNSPEC;
}

static __always_inline int answered_v6(struct __sk_buff *skb)
{
	struct bpf_sock_tuple ends __attribute__((aligned(8))) = {};
	void *data, *end;
	struct ports *ports;
	struct ipv6hdr *ip;
	struct flow *f;
	__u8 protocol;
	bool by_vip;

	if (!readable(skb, ETH_HLEN + sizeof(*ip) + sizeof(*ports)))
		return TC_ACT_UNSPEC;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	ip = data + ETH_HLEN;
	ports = (void *)(ip + 1);
	if (PAST_END(ports, end))
		return TC_ACT_UNSPEC;
	if (unlikely(ip->nexthdr == IPPROTO_ICMPV6))
		return refused_v6(skb);
	if (!has_ports((struct l4_type){ ip->nexthdr }))
		return TC_ACT_UNSPEC;
	f = flow_at(ip->nexthdr, ports->destination);
	if (likely(!f || !f->ifindex || f->port != ports->source))
		return TC_ACT_UNSPEC;
	by_vip = equal16(&ip->saddr, f->vip);
	if (!by_vip && !equal16(&ip->saddr, f->peer))
		return TC_ACT_UNSPEC;
	if (by_vip && f->ifindex != skb->ifindex)
		return bring(skb, f);
	protocol = ip->nexthdr;
	copy16(ends.ipv6.saddr, f->peer);
	copy16(ends.ipv6.daddr, &ip->daddr);
	ends.ipv6.sport = ports->source;
	ends.ipv6.dport = ports->destination;
	if (!is_awaited(skb, &ends, sizeof(ends.ipv6), protocol, f->vip))
		return TC_ACT_UNSPEC;
	if (!by_vip || !replace_v6(skb, V6(saddr), f->vip, f->peer, protocol))
		return TC_ACT_SHOT;
	take(skb);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int lb_check_answered(struct __sk_buff *skb)
{
	if (skb->vlan_present && skb->vlan_tci & 0xfff) /* for the interface of that VLAN, where it comes by next */
		return TC_ACT_UNSPEC;
	if (skb->protocol == L3_IPV4.wire)
		return answered_v4(skb);
	if (skb->protocol == L3_IPV6.wire)
		return answered_v6(skb);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
