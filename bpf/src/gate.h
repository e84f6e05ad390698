/* Limits on how often something is done, by CPU. */
#pragma once

#include "maps.h"

/* How often a second each gate opens, and how many times in a row; 0: always. Set by Go. */
const volatile __u32 gate_rate;

/* The first four are for records, of services by their id modulo four. */
#define GATE_TOO_BIG 4

static __always_inline bool admits(__u32 index)
{
	struct gate *g = bpf_map_lookup_elem(&gates, &index);
	__u64 now, earned;

	if (!gate_rate)
		return true;
	if (!g)
		return false;
	now = bpf_ktime_get_ns();
	earned = (now - g->at) / (1000000000ULL / gate_rate);
	if (earned) {
		g->left = earned > gate_rate - g->left ? gate_rate : g->left + earned;
		g->at = now;
	}
	if (!g->left)
		return false;
	g->left--;
	return true;
}
