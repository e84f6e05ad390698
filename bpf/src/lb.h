/* What the kernel program and Go share: reasons, flags and the rows of tables. Go reads them
 * from BTF. */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Why a packet met its verdict: each packet ends in exactly one of these, and
 * verdict.h says what becomes of it. Go and the API name them in
 * lower case without the prefix. */
enum lb_reason {
	LB_FORWARDED,	       /* to a replica */
	LB_RETURNED,	       /* a replica's answer, to its client */
	LB_ERROR_FORWARDED,    /* an ICMP error about a flow, to its replica */
	LB_ERROR_RETURNED,     /* an ICMP error about a replica's flow, to its client */
	LB_ECHO_ANSWERED,      /* ICMP echo to the address of a VIP */
	LB_TOO_BIG_ANSWERED,   /* longer than the MTU of its route: the sender is told */
	LB_REJECTED,	       /* to the address of a VIP, but no service is there: the sender is told */
	LB_NOT_OURS,	       /* no service has this destination, no replica this source */
	LB_FOR_THIS_HOST,      /* ours or to a VIP's address, but the FIB leads no further than this host */
	LB_OTHER_MAC,	       /* the frame is to a group of stations */
	LB_NOT_IP,	       /* EtherType neither IPv4 nor IPv6 nor VLAN */
	LB_VLAN_TAGGED,	       /* more than two tags, 802.1Q or 802.1ad */
	LB_NOT_TCP_UDP,	       /* another IP protocol, or ICMP that is not about our flows */
	LB_IPV6_EXTENSION,     /* an extension header, or a number of them, not looked behind */
	LB_TTL_EXPIRED,	       /* ours, but TTL or hop limit at most 1: the kernel answers */
	LB_NEIGHBOUR_MISSING,  /* rewritten; the kernel resolves the next hop and sends it */
	LB_TOO_BIG_PASSED,     /* nat: rewritten, too big; the kernel fragments it and sends it */
	LB_SUPER_PACKET_PASSED, /* nat: rewritten, a super-packet; the kernel sends its segments */
	LB_NEIGHBOUR_PENDING,  /* dsr or ipip: the kernel resolves the next hop, but cannot send */
	LB_MALFORMED_ETHERNET, /* shorter than an Ethernet header and its tags */
	LB_MALFORMED_IP,       /* IP header cut short or contradicting itself */
	LB_MALFORMED_L4,       /* TCP, UDP or ICMP header cut short or contradicting itself */
	LB_FRAGMENT_ORPHAN,    /* to a VIP, and its first fragment has not been seen */
	LB_MARTIAN_SOURCE,     /* to a VIP, from an address that no packet may come from */
	LB_VIP_NO_SERVICE,     /* to the address of a VIP, but no service is there */
	LB_REJECT_LIMITED,     /* likewise, and its sender is not told: too many are already */
	LB_SOURCE_DENIED,      /* the service is not for this client: its source ranges do not have it */
	LB_RATE_LIMITED_FLOWS, /* begins a flow, and the service has as many a second as it may */
	LB_RATE_LIMITED_PACKETS, /* the service has as many packets a second as it may */
	LB_PORT_TAKEN,	       /* begins a flow that its replica could not tell from one by another VIP */
	LB_HAIRPIN,	       /* the replica chosen is the sender */
	LB_NO_REPLICA,	       /* a service without a replica that serves */
	LB_NO_ROUTE,	       /* ours, but there is no route */
	LB_TOO_BIG,	       /* longer than the MTU of its route, and the sender is not told */
	LB_SUPER_PACKET,       /* dsr or ipip: segments not yet cut, and no way to send them */
	LB_TUNNEL_TOO_NARROW,  /* ipip: IPv6 that nobody may shorten and the path does not carry */
	LB_NO_HEADROOM,	       /* the driver left no room for an outer header or an answer */
	LB_TABLE_FAULT,	       /* the tables contradict each other: a bug */
	LB_REASONS,	       /* how many there are */
	LB_OK = -1,	       /* not decided yet; never counted */
};

enum lb_hash { LB_HASH_JHASH, LB_HASH_TOEPLITZ };
enum lb_mode { LB_MODE_NAT, LB_MODE_DSR, LB_MODE_IPIP };

/* Address, port and protocol of one end: of a VIP in `services`, of a replica
 * in `rev_nats`. IPv4 is ::ffff:a.b.c.d. Ports are bytes in network order. With port
 * and protocol 0 it stands for the address: of any VIP that has it. */
struct endpoint {
	__u8 address[16];
	__u8 port[2];
	__u8 protocol;
	__u8 ip_version; /* 4 or 6: an IPv6 packet may carry a mapped address */
};

/* One bucket of a hash index: numbers of rows, plus one, that hold the endpoints of this hash; 0
 * ends the list. A hash map of the kernel would do, but its look-up is a call and this one is
 * inlined. */
#define BUCKET_ROWS 16

struct bucket {
	__u32 row[BUCKET_ROWS];
};

enum service_flag {
	SERVICE_TRACK_CHANGES = 1, /* flows that start in slots in transition are recorded */
	SERVICE_TRACK_ALWAYS = 2,  /* every flow is recorded */
	SERVICE_REHASHED = 4,	   /* all slots are in transition, the previous owners are in another table */
	SERVICE_SPREADS = 8,	   /* ipip: outer packets have a port or source address by flow */
	SERVICE_RANGES = 16,	   /* only for clients in its source ranges */
	SERVICE_RATES = 32,	   /* limits packets or new flows a second */
};

/* A service. Its table is slots[offset, offset + size). The row is complete before the index points at
 * it, and does not change while the index does. Packets read its first cache line, and of the second what few
 * services have: source addresses of tunnels, source ranges, rates.
 *
 * The slots of a service that is REHASHED have another size or hash than before. The previous owner of a
 * flow is then in slots[previous_offset, previous_offset + previous_size), the previous table, and
 * records contain the hash of that table.
 *
 * slots[list, list + replicas) are not slots: they hold the service's replicas in the order of the
 * configuration, as {id, weight and state}. */
struct service {
	struct endpoint vip;
	__u32 id; /* of its counters: stays when the row changes */
	__u32 offset;
	__u32 size;	  /* slots; 0: no active replica */
	__u32 reciprocal; /* 2^32 / size, rounded down, 2^32 - 1 for 1 */
	__u32 seed;	  /* of jhash */
	__u32 previous_offset;
	__u32 previous_size;
	__u32 first_replica; /* from whose id on `slot_owners` counts */
	__u32 previous_seed;
	__u8 hash; /* enum lb_hash */
	__u8 previous_hash;
	__u8 mode;  /* enum lb_mode */
	__u8 flags; /* enum service_flag */
	__u8 tunnel_port[2]; /* ipip: the destination port of UDP around the packet */
	__u8 udp_bytes;	     /* ... and the length of its header, 0 if there is no UDP */
	__u8 zero;
	/* For Go alone, up to `zero2`. */
	__u32 list;
	__u32 replicas;
	__u32 table_size; /* of the configuration: size, unless there is no replica */
	__u32 idle;	  /* seconds */
	__u8 scheduler;
	__u8 encapsulation;
	__u8 source_bits; /* of the prefix of `sources` */
	__u8 zero2;
	__u32 sources; /* ipip: outer packets have one of so many source addresses; 0: the kernel's choice */
	__u8 first_source[16];
	__u32 first_range;     /* row of `source_ranges` */
	__u32 ranges;	       /* how many rows from there on the clients of the VIP's family are in */
	__u32 all_ranges;      /* for Go alone: how many rows the service has */
	__u32 packet_rate;     /* a second; 0: no limit */
	__u32 flow_rate;       /* of flows that begin */
	__u16 burst;	       /* ms; what is saved up of both */
	__u8 end_port[2];      /* the last of its ports, of which the VIP has the first; 0: it has no other */
};

/* A range of ports and their protocol; protocol 0: none. One word, which is stored as one. */
struct port_range {
	__u8 first[2], last[2];
	__u8 protocol;
	__u8 zero[3];
};

/* A row of `services` that is no service: it stands for an address of VIPs, whatever their ports. It has the ranges of ports of
 * those services that have more than one, in any order and with gaps. A range leads to the service at its first port, whose row says
 * whether the range is so still. */
#define PORT_RANGES 12

struct address_row {
	struct endpoint vip; /* without port and protocol */
	__u8 zero[12];
	struct port_range ranges[PORT_RANGES];
};

/* A range of client addresses, both ends in it, as numbers; IPv4 mapped. Those that packets look at are sorted and do
 * not overlap. Behind them are those of the service that lie in others or are of the other family, for Go alone. Rows do
 * not change while a service has them. */
struct source_range {
	__u64 first_high, first_low;
	__u64 last_high, last_low;
};

/* What is used up of a service's rates, by its id: the time, in ns since the machine started, at which so many packets or
 * flows will have been earned again. It is at most the burst ahead. CPUs share it, and services do not share its cache line. */
struct rate_state {
	__u64 packets_until;
	__u64 flows_until;
	__u64 zero[6];
};

/* A slot is a part of the hash space. It is settled while both words are equal: all its flows go
 * to the owner. After a change of owner it is in transition, which SLOT_IN_TRANSITION in
 * `previous` says: flows from before the change go to the previous owner. The bits of AGE say
 * how long ago the last one did, in eighths of the idle time. */
#define REPLICA_BITS 20
#define REPLICA_ID ((1U << REPLICA_BITS) - 1)
#define REPLICA_NONE REPLICA_ID /* is never given out */
#define AGE_SHIFT REPLICA_BITS
#define AGE (0xfU << AGE_SHIFT)
#define SLOT_IN_TRANSITION (1U << 31)

struct slot {
	__u32 owner;	/* replica id, of flows that start */
	__u32 previous; /* replica id, of flows from before the change; age; in transition */
};

/* A cache line of the owners of so many slots: of a settled one the id less the service's `first_replica`. Others, and those
 * with a replica too far away, are OWNER_ELSEWHERE: the slot says it. Most packets read no more than these two bytes of a slot:
 * where there are many services, the size of what is read is what costs. */
#define OWNERS_LINE 32
#define OWNER_ELSEWHERE 0xffff

struct owners {
	__u16 owner[OWNERS_LINE];
};

/* A cache line of records of flows. A record is one word, so that compare and exchange can
 * change it: from the highest bits on, 32 bits of the service's hash, 6 of the flow's key, 2 that
 * say who has closed the flow, 4 of age, 20 of the replica's id. 0 is no record. */
#define RECORD_ENTRIES 8
#define CLOSED_SHIFT (AGE_SHIFT + 4)

struct records {
	__u64 entry[RECORD_ENTRIES];
};

enum hop_state { HOP_NONE, HOP_UNRESOLVED, HOP_RESOLVED };

/* A next hop on layer 2. */
struct hop {
	__u8 destination[6];
	__u8 source[6];
	__u32 ifindex;
	__u16 mtu;
	__u8 state; /* enum hop_state */
	__u8 zero;
};

enum replica_state { REPLICA_GONE, REPLICA_ACTIVE, REPLICA_DRAINING, REPLICA_DOWN };

/* One server behind a service. The second of its two cache lines is for tunnels. The deltas are
 * what the rewrite from the VIP adds to a checksum's complement (RFC 1624, equation 3): l3 for
 * the address, in the IPv4 header; l4 for address and port, in TCP and UDP. Packets use the hop
 * that `active_hop` says; the other one may be written meanwhile. */
struct replica {
	__u8 address[16];
	__u8 port[2];
	__u16 l3_delta;
	__u16 l4_delta;
	__u8 active_hop;
	__u8 state; /* enum replica_state */
	struct hop hops[2];
	__u8 tunnel_source[2][16]; /* our address towards it, of each hop */
	__u32 service;		   /* id of the service, for whoever reads counters */
	__u32 zero2;
	__u64 path_mtu; /* of a tunnel, as a router told it: from bit 16 on when; 0 if none did */
	__u8 zero[15];
	__u8 ip_version; /* of its address: 4 or 6 */
};

/* A word of what most packets need of a replica: its row has the same and all else. Where there are many replicas, the size of
 * what is read is what costs. `hop` is 0 where packets must look at the row: not at IPv4, not active, no next hop, or less is known of the
 * path to it than its next hop says. */
struct short_replica {
	__u8 address[4];
	__u8 port[2];
	__u16 hop; /* the row of `shared_hops`, of which the first is no hop */
};

/* A resolved next hop of all replicas whose packets go there alike. A row does not change while a short replica has its number. */
struct shared_hop {
	struct hop hop;
	__u8 tunnel_source[4];
	__u8 zero[8];
};

enum rev_nat_flag {
	REV_NAT_RECORDED = 1,  /* the service records every flow: answers look for the record */
	REV_NAT_BY_RECORD = 2, /* and has for long enough: what has no record is no answer */
	REV_NAT_SHARED = 4,    /* replicas of other services have the same endpoint */
	REV_NAT_TRACKED = 8,   /* the service records flows, if not every one */
};

/* Reverse NAT of a replica, in the row of its id: the VIP from which its answers seem to come, and
 * the deltas of that rewrite. Of a row that the index points at, only `flags`, `hash` and `seed` change. */
struct rev_nat {
	struct endpoint replica;
	__u16 l3_delta;
	__u16 l4_delta;
	__u8 address[16];
	__u8 port[2];
	__u8 flags; /* enum rev_nat_flag */
	__u8 hash;  /* that of the service's records, and its seed */
	__u32 seed;
	__u8 zero[16];
};

/* A route to a client that the kernel's FIB has answered. Up to `epoch` it is what the answer
 * depends on, from `ifindex` on the answer. One cache line, of one CPU alone. */
struct fib_entry {
	__u8 client[16]; /* IPv4 mapped, as in `source` */
	__u8 source[16];
	__u8 protocol;
	__u8 zero;
	__u16 mtu;
	__u32 ingress;
	__u32 epoch;
	__u32 tick; /* of the kernel's clock, when the FIB was asked */
	__u32 ifindex;
	__u8 macs[12]; /* destination, source */
};

/* A cache line of what first fragments say, and each a check of its key: see fragments.h. */
#define FRAGMENT_LINES 8192
#define FRAGMENT_ENTRIES 4

struct fragment {
	__u64 says;
	__u64 check;
};

struct fragment_line {
	struct fragment entry[FRAGMENT_ENTRIES];
};

/* What must outlive the program, one row. */
struct setting {
	__u16 schema; /* version of the layout of all tables */
	__u16 ranged; /* whether there are services with a range of ports */
	__u32 epoch;  /* Go counts it up when the network changed: older entries of fib_cache are void */
	__u64 secret[4]; /* of the keys of flows: whoever does not know it cannot make two collide */
};

/* Limits how often something is done: each time takes a token. */
struct token_bucket {
	__u64 filled_at; /* ns since the machine started */
	__u64 tokens;
};

struct count {
	__u64 packets;
	__u64 bytes;
};

/* What packets say of the flows of a replica: the package comment of lb/oracle has what each counts. */
struct flow_count {
	__u64 begun;
	__u64 resets;
	__u64 refusals; /* those of the resets that answer a SYN */
};

#define SAMPLE_BYTES 256

/* A packet and what became of it, for a monitor. */
struct sample {
	__u64 time; /* ns since the machine started */
	__u64 seen; /* packets that the filter let through, on this CPU */
	__u32 reason;
	__u32 ifindex;
	__u32 queue;
	__u32 cpu;
	struct endpoint vip;	 /* that it is to, or an answer from; protocol 0 if there is none */
	struct endpoint replica; /* that it is to or from; protocol 0 if there is none */
	__u32 every;		 /* this is one in so many that were wanted */
	__u32 length;
	__u32 captured;
	__u32 zero;
	__u8 frame[SAMPLE_BYTES]; /* as it came */
};

/* Which packets are sampled. */
struct sample_filter {
	__u64 reasons;	     /* a bit each */
	__u64 lost;	     /* samples that there was no room for */
	struct endpoint vip; /* protocol 0: any, and none */
	__u32 every;	     /* one in so many */
};

_Static_assert(LB_REASONS <= 64, "a bit for each");
_Static_assert(sizeof(struct slot) == 8, "a slot is switched by one store");
_Static_assert(sizeof(struct owners) == 64, "owners share a cache line");
_Static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");
_Static_assert(sizeof(struct service) == 128, "a service is two cache lines");
_Static_assert(__builtin_offsetof(struct service, list) == 64, "packets read one of them, most of the time");
_Static_assert(sizeof(struct address_row) == sizeof(struct service), "both are rows of `services`");
_Static_assert(sizeof(struct port_range) == 8 && !(__builtin_offsetof(struct address_row, ranges) & 7), "a range is switched by one store");
_Static_assert(sizeof(struct rate_state) == 64, "services share no line");
_Static_assert(sizeof(struct records) == 64, "records share a cache line");
_Static_assert(sizeof(struct fragment_line) == 64, "fragments share a cache line");
_Static_assert(sizeof(struct replica) == 128, "a replica is two cache lines");
_Static_assert(sizeof(struct short_replica) == 8, "a short replica is switched by one store");
_Static_assert(sizeof(struct shared_hop) == 32, "half a cache line, so in one");
_Static_assert(__builtin_offsetof(struct replica, tunnel_source) == 64, "nat and dsr read one of them");
_Static_assert(sizeof(struct rev_nat) == 64, "a reverse NAT entry is one cache line");
_Static_assert(!(__builtin_offsetof(struct rev_nat, port) & 7), "what changes of it is stored as one word");
_Static_assert(sizeof(struct fib_entry) == 64, "CPUs share no line");
