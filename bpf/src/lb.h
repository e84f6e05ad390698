/* The words that the kernel program and Go share: Go reads them from BTF. */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Why a packet met its verdict: each packet ends in exactly one of these, and
 * verdict() in lb.bpf.c says what becomes of it. Go and the API name them in
 * lower case without the prefix. */
enum lb_reason {
	LB_FORWARDED,	       /* to a replica */
	LB_RETURNED,	       /* a replica's answer, to its client */
	LB_NOT_OURS,	       /* no service has this destination, no replica this source */
	LB_NOT_IP,	       /* EtherType neither IPv4 nor IPv6 nor VLAN */
	LB_VLAN_TAGGED,	       /* 802.1Q or 802.1ad */
	LB_NOT_TCP_UDP,	       /* another IP protocol, ICMP included */
	LB_FRAGMENT,	       /* IPv4 fragment, the first included; IPv6 fragment header */
	LB_IP_OPTIONS,	       /* IPv4 header of more than 20 bytes */
	LB_IPV6_EXTENSION,     /* IPv6 extension header other than fragment */
	LB_TTL_EXPIRED,	       /* ours, but TTL or hop limit at most 1: the kernel answers */
	LB_NEIGHBOUR_MISSING,  /* rewritten; the kernel resolves the next hop and sends it */
	LB_MALFORMED_ETHERNET, /* shorter than an Ethernet header */
	LB_MALFORMED_IP,       /* IP header cut short or contradicting itself */
	LB_MALFORMED_L4,       /* TCP or UDP header cut short or contradicting itself */
	LB_NO_REPLICA,	       /* a service without replicas */
	LB_NO_ROUTE,	       /* ours, but there is no way to the next hop */
	LB_TOO_BIG,	       /* ours, but longer than the MTU of the way out */
	LB_TABLE_FAULT,	       /* the tables contradict each other: a bug */
	LB_REASONS,	       /* how many there are */
	LB_OK = -1,	       /* not decided yet; never counted */
};

enum lb_hash { LB_HASH_JHASH, LB_HASH_TOEPLITZ };

/* Address, port and protocol of one end: of a VIP in `services`, of a replica
 * in `reverse`. IPv4 is ::ffff:a.b.c.d. Ports are bytes in network order. */
struct endpoint {
	__u8 address[16];
	__u8 port[2];
	__u8 protocol;
	__u8 ip_version; /* 4 or 6: an IPv6 packet may carry a mapped address */
};

/* Where to look for an endpoint: row numbers plus one, from the front, 0 ends.
 * A hash map of the kernel would do, but its look-up is a call and ours is not. */
#define BUCKET_ROWS 16

struct bucket {
	__u32 row[BUCKET_ROWS];
};

/* A service. Its table is slots[offset, offset + size); slots[list, list + replicas)
 * are no slots but its replicas in the order of the configuration, {id, weight}. All of it
 * is written before the index points at the row, and not changed while it does. */
struct service {
	struct endpoint vip;
	__u32 id; /* of its counters: stays when the row changes */
	__u32 offset;
	__u32 size;	/* slots; 0: no replica */
	__u32 list;
	__u32 replicas;
	__u32 seed;	/* of jhash */
	__u8 scheduler; /* told to Go, not used here: a table is a table */
	__u8 mode;
	__u8 hash; /* enum lb_hash */
	__u8 flags;
	__u32 table_size; /* of the configuration: size, unless there is no replica */
	__u32 zero[3];
};

/* Two owners of a part of the hash space: replica ids. */
struct slot {
	__u32 current;
	__u32 base; /* of the flows from before the slot was marked */
};

enum hop_state { HOP_NONE, HOP_UNRESOLVED, HOP_RESOLVED };

/* The way to a replica on layer 2. */
struct hop {
	__u8 destination[6];
	__u8 source[6];
	__u32 ifindex;
	__u16 mtu;
	__u8 state; /* enum hop_state */
	__u8 zero;
};

/* One server behind a service: a cache line. The deltas are what the rewrite
 * from the VIP adds to a checksum's complement (RFC 1624, equation 3): of the
 * address in the IPv4 header, of address and port in TCP and UDP. Of the two
 * hops the one that `which` names counts; the other one is free to be written. */
struct replica {
	__u8 address[16];
	__u8 port[2];
	__u16 l3_delta;
	__u16 l4_delta;
	__u8 which;
	__u8 zero;
	struct hop hops[2];
};

/* The way back from a replica, in the row of its id: the VIP that its answers come
 * from, and the deltas of that rewrite. */
struct origin {
	struct endpoint replica;
	__u16 l3_delta;
	__u16 l4_delta;
	__u8 address[16];
	__u8 port[2];
	__u8 zero[22];
};

struct count {
	__u64 packets;
	__u64 bytes;
};

_Static_assert(sizeof(struct slot) == 8, "a slot is switched by one store");
_Static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");
_Static_assert(sizeof(struct service) == 64, "a service is one cache line");
_Static_assert(sizeof(struct replica) == 64, "a replica is one cache line");
_Static_assert(sizeof(struct origin) == 64, "the way back is one cache line");
