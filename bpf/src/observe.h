/* What the observer records, and how it reads a frame from the first bytes of it. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

/* Where and how a packet came. */
struct arrival {
	__u32 queue;
	__u32 hash;  /* the NIC's; 0 unless hashed */
	__u64 bytes; /* of the frame */
	__u16 vlan;  /* the tag that the driver took off, if tagged */
	__u8 tagged;
	__u8 hashed;
};

/* One direction of a flow on one receive queue with one hash. IPv4 is ::ffff:a.b.c.d. */
struct sighting {
	__u8 source[16];
	__u8 destination[16];
	__u8 source_port[2];
	__u8 destination_port[2];
	__u8 protocol;
	__u8 hashed;
	__u8 zero[2];
	__u32 queue;
	__u32 hash;
};

/* How often, and on which CPUs (a bit each, 256 at most). */
struct seen {
	__u64 packets;
	__u64 cpus[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct sighting);
	__type(value, struct seen);
	__uint(max_entries, 1 << 16);
} sightings SEC(".maps");

/* Packets by what became of them here; their sum is all that passed by. */
enum sight { SIGHT_RECORDED, SIGHT_NO_FLOW, SIGHT_TABLE_FULL, SIGHT_SAMPLED, SIGHTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SIGHTS);
} sights SEC(".maps");

/* The first bytes of a frame: Ethernet, an IP header without options, ports.
 * Bytes beyond the frame's end are zero. */
#define HEAD_BYTES (14 + 40 + 4)

#define HEAD_ROOM 64

_Static_assert(HEAD_BYTES <= HEAD_ROOM, "there is room for the head");

struct head {
	__u8 b[HEAD_ROOM];
};

/* Shows the verifier that n, which is 1 to room, is that: room is a power of two. It is 64 bits wide
 * and without a comparison, of which Linux 6.1 would not learn that n is not 0; and it is out
 * of the compiler's sight, which would take it away. It turns an n of 0 into room. */
#define bounded(n, room)                                                                           \
	({                                                                                         \
		__u64 _n = (n)-1;                                                                  \
		asm volatile("%0 &= %1" : "+r"(_n) : "i"((room)-1));                               \
		_n + 1;                                                                            \
	})

static __always_inline void take_v4(struct sighting *k, const __u8 *ip)
{
	__builtin_memset(k->source, 0, 10);
	__builtin_memset(k->source + 10, 0xff, 2);
	__builtin_memcpy(k->source + 12, ip + 12, 4);
	__builtin_memset(k->destination, 0, 10);
	__builtin_memset(k->destination + 10, 0xff, 2);
	__builtin_memcpy(k->destination + 12, ip + 16, 4);
	k->protocol = ip[9];
	__builtin_memcpy(k->source_port, ip + 20, 4);
}

static __always_inline void take_v6(struct sighting *k, const __u8 *ip)
{
	__builtin_memcpy(k->source, ip + 8, 32);
	k->protocol = ip[6];
	__builtin_memcpy(k->source_port, ip + 40, 4);
}

/* True if the frame is TCP or UDP over plain IPv4 or IPv6: not a fragment, no
 * options, no extension headers, no VLAN tag. */
static __always_inline bool take_flow(struct sighting *k, const struct head *h)
{
	__u16 type = h->b[12] << 8 | h->b[13];
	const __u8 *ip = h->b + ETH_HLEN;

	if (type == ETH_P_IP && ip[0] == 0x45 && !(ip[6] & 0x3f) && !ip[7])
		take_v4(k, ip);
	else if (type == ETH_P_IPV6)
		take_v6(k, ip);
	else
		return false;
	return k->protocol == IPPROTO_TCP || k->protocol == IPPROTO_UDP;
}

static __always_inline void tally(enum sight s)
{
	__u32 index = s;
	__u64 *n = bpf_map_lookup_elem(&sights, &index);

	if (n)
		(*n)++;
}

/* Counts a packet under its flow; first is set when it is the first that came so. */
static __always_inline enum sight record(const struct head *h, const struct arrival *a, bool *first)
{
	struct sighting key = { .queue = a->queue, .hash = a->hash, .hashed = a->hashed };
	struct seen *s, none = {};
	__u32 cpu = bpf_get_smp_processor_id() & 255;

	if (!take_flow(&key, h))
		return SIGHT_NO_FLOW;
	s = bpf_map_lookup_elem(&sightings, &key);
	if (!s) {
		*first = !bpf_map_update_elem(&sightings, &key, &none, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&sightings, &key);
	}
	if (!s)
		return SIGHT_TABLE_FULL;
	__sync_fetch_and_add(&s->packets, 1);
	if (!(s->cpus[cpu / 64] & 1ULL << cpu % 64))
		__sync_fetch_and_or(&s->cpus[cpu / 64], 1ULL << cpu % 64);
	return SIGHT_RECORDED;
}

/* Samples for user space: the first bytes of packets that belong to no flow, and of each flow's
 * first packet. */

#define SAMPLE_BYTES 256

struct sample {
	__u32 queue;
	__u32 cpu;
	__u32 hash;
	__u32 bytes; /* of the frame */
	__u16 vlan;  /* the tag that the driver took off */
	__u8 tagged; /* 1 if it took one off */
	__u8 hashed;
	__u8 recorded; /* 1 if it was counted under its flow as well */
	__u8 head[SAMPLE_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* Go sets what is wanted */
} samples SEC(".maps");

/* Whether samples are taken, and whether of all packets: then no flow is recorded. */
const volatile bool sampling, sample_all;

/* Returns a sample to fill in, or NULL if the ring is full. */
static __always_inline struct sample *sample_begin(const struct arrival *a, bool recorded)
{
	struct sample *s = bpf_ringbuf_reserve(&samples, sizeof(*s), 0);

	if (!s)
		return NULL;
	s->queue = a->queue;
	s->cpu = bpf_get_smp_processor_id();
	s->hash = a->hash;
	s->hashed = a->hashed;
	s->bytes = a->bytes;
	s->recorded = recorded;
	s->vlan = a->vlan;
	s->tagged = a->tagged;
	return s;
}

/* How many of a frame's first bytes a sample holds, 1 to all; see bounded. */
static __always_inline __u64 sample_length(__u64 bytes)
{
	return bounded(bytes > SAMPLE_BYTES ? SAMPLE_BYTES : bytes, SAMPLE_BYTES);
}
