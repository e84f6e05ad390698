/* The tables. All are arrays, pinned by name; Go sets their sizes before loading,
 * and writes those that packets are forwarded by through memory maps. */
#pragma once

#include "lb.h"

/* A flat table is a map whose only value has all rows, one after the other: the program knows its address, and a look-up is an
 * addition. In an array of rows it is a dozen instructions, and to the compiler a call, which takes registers. Flatten of package bpf
 * makes the map so. */
#define FLAT __attribute__((btf_decl_tag("flat")))

/* The address of the first row. The compiler must not know of what: to it that is what stands here, a few bytes. */
#define ROWS(table) ({ typeof((table).value) _rows = (void *)&(table); asm("" : "+r"(_rows)); __builtin_assume(_rows != NULL); _rows; })

/* Operands that are known when the program is loaded: how many rows flat tables have, less one; and by how many bits the hash of an
 * endpoint is shifted, so that the number of a bucket is left. The compiled program has these instead, and Flatten puts the others in
 * their place: an operand costs nothing, and a constant in memory two instructions. */
enum operand {
	SERVICES_LAST = 0x6b8d4501,
	SLOTS_LAST,
	REPLICAS_LAST,
	ESTABLISHED_LAST,
	HALF_OPEN_LAST,
	FIB_CACHE_LAST,
	SERVICE_SHIFT,
	REV_NAT_SHIFT,
};

/* Is a number, of 64 bits, at most an operand? */
#define AT_MOST(number, operand)                                                                       \
	({                                                                                             \
		__label__ _over;                                                                       \
		bool _is = false;                                                                      \
		asm goto("if %0 > %1 goto %l[_over]" : : "r"(number), "i"(operand) : : _over);         \
		_is = true;                                                                            \
	_over:                                                                                         \
		_is;                                                                                   \
	})

#define MASKED(number, operand) ({ __u64 _masked = (number); asm("%0 &= %1" : "+r"(_masked) : "i"(operand)); _masked; })
#define SHIFTED(number, operand) ({ __u64 _shifted = (number); asm("%0 >>= %1" : "+r"(_shifted) : "i"(operand)); _shifted; })

/* A row of a flat table of which the number of the last one is an operand; NULL: there is none with this number. What is compared is
 * what is added, for the verifier, and not something that the compiler derives from the same. */
#define ROW(table, at, last) ({ __u64 _at = (at); asm("" : "+r"(_at)); AT_MOST(_at, last) ? ROWS(table) + _at : NULL; })

/* By hash of the endpoint: rows of `services`, rows of `rev_nats`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct bucket);
	__uint(max_entries, 512);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} service_index SEC(".maps") FLAT;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct bucket);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} rev_nat_index SEC(".maps") FLAT;

/* More rows than services: a change is written beside the row that it replaces. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct service);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} services SEC(".maps") FLAT;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct slot);
	__uint(max_entries, 1 << 22);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} slots SEC(".maps");

/* Of the same slots. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct owners);
	__uint(max_entries, (1 << 22) / OWNERS_LINE);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} slot_owners SEC(".maps") FLAT;

/* By replica id. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct replica);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} replicas SEC(".maps");

/* Of the same replicas. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct short_replica);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} short_replicas SEC(".maps") FLAT;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shared_hop);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shared_hops SEC(".maps") FLAT;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct rev_nat);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} rev_nats SEC(".maps") FLAT;

/* Records of flows: established ones, and half-open ones of which only the first packet has
 * come. The flow's key says which cache line a record is in. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct records);
	__uint(max_entries, (1 << 20) / RECORD_ENTRIES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} established SEC(".maps") FLAT;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct records);
	__uint(max_entries, (1 << 18) / RECORD_ENTRIES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} half_open SEC(".maps") FLAT;

/* FIB_CACHE_ENTRIES of each CPU. Not pinned: a new program asks the kernel anew. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct fib_entry);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE); /* rows on cache lines */
} fib_cache SEC(".maps") FLAT;

/* Those of a service are rows next to each other: old ones and new ones have room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct source_range);
	__uint(max_entries, 1 << 15);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} source_ranges SEC(".maps");

/* By service id: see limits.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct rate_state);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} rate_states SEC(".maps");

/* Likewise: how many packets this CPU may forward of those that it has taken from the rate at once. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} allowances SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct fragment_line);
	__uint(max_entries, FRAGMENT_LINES);
	__uint(map_flags, BPF_F_MMAPABLE); /* rows on cache lines */
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct setting);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} settings SEC(".maps") FLAT;

/* By what they limit: see token_bucket.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct token_bucket);
	__uint(max_entries, 5);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} token_buckets SEC(".maps");

/* For monitor.h. `samples` is larger in the monitoring program than this. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct sample);
	__uint(max_entries, 1);
} sample_buffers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct sample_filter);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
} sample_filters SEC(".maps");

/* Counters: by enum lb_reason, and by replica id. A packet is counted once: a forwarded one by
 * its replica, any other by its reason. When a replica is removed, Go adds its count to
 * `retired_counts`, by service id, and to the row of LB_FORWARDED. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct count);
	__uint(max_entries, LB_REASONS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} by_reason SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct count);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} retired_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct count);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} by_replica SEC(".maps");

/* By replica id, too, but apart: few packets say anything of a flow. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct flow_count);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} flow_counts SEC(".maps");

static __always_inline void add(void *counters, __u32 index, __u64 bytes)
{
	struct count *c = bpf_map_lookup_elem(counters, &index);

	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}
