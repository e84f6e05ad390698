/* Fragments: the first one of a packet carries the ports, which are kept for the later ones.
 *
 * A key chooses a cache line, as with records. An entry is two words, which two CPUs may write at once: one is the key
 * exclusive-or the other one, so that an entry that is half of each has the key of neither.
 */
#pragma once

#include "maps.h"
#include "find.h"
#include "hash.h"

/* Parts of what an entry says: from bit 0 on the ports, then the protocol, then when it was written, in units of 16
 * ticks of the kernel's clock. */
#define FRAGMENT_PROTOCOL 32
#define FRAGMENT_TIME 40

/* That of a flow which has the identification for ports. IPv6 goes without the protocol: other fragments may name
 * another header first. */
static __always_inline __u64 fragment_key(const struct packet *p)
{
	struct tuple f = p->flow;

	f.ports = p->fragment_id;
	if (f.is_v6)
		f.l4.wire = 0;
	return key_of(&f);
}

static __always_inline struct fragment_line *line_of_fragment(__u64 key)
{
	__u32 at = (__u32)key & (FRAGMENT_LINES - 1);

	return bpf_map_lookup_elem(&fragments, &at);
}

/* Keeps what a first fragment says, instead of what has been kept the longest. */
static __always_inline int keep_fragment(__u64 key, __u64 says)
{
	__u32 now = bpf_jiffies64() >> 4 << 8, at = 0, most = 0;
	struct fragment_line *line = line_of_fragment(key);
	volatile struct fragment *f;

	if (!line)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FRAGMENT_ENTRIES; i++) {
		__u64 known = line->entry[i].says;
		__u32 age = known ? now - (__u32)(known >> 32 & ~0xffU) : ~0U;

		if ((line->entry[i].check ^ known) == key) {
			at = i;
			break;
		}
		if (age >= most) {
			most = age;
			at = i;
		}
	}
	f = &line->entry[at % FRAGMENT_ENTRIES];
	says |= (__u64)now << 32;
	f->says = says;
	f->check = says ^ key;
	return 0;
}

/* Returns what the first fragment has said; 0 if it is not known. */
static __always_inline __u64 known_fragment(__u64 key)
{
	struct fragment_line *line = line_of_fragment(key);

#pragma clang loop unroll(disable)
	for (__u32 i = 0; line && i < FRAGMENT_ENTRIES; i++) {
		volatile struct fragment *f = &line->entry[i];
		__u64 says = f->says;

		if ((f->check ^ says) == key)
			return says;
	}
	return 0;
}

static __always_inline void remember_fragment(const struct packet *p)
{
	keep_fragment(fragment_key(p), p->flow.ports | (__u64)p->flow.l4.wire << FRAGMENT_PROTOCOL);
}

/* Gives a later fragment the ports and protocol of its packet, if the first one has been seen. */
static __always_inline bool find_ports(struct packet *p)
{
	__u64 says = known_fragment(fragment_key(p));

	p->flow.ports = says;
	if (says)
		p->flow.l4.wire = says >> FRAGMENT_PROTOCOL & 0xff;
	return says;
}

static __always_inline enum lb_reason recall_fragment(struct packet *p)
{
	if (find_ports(p))
		return LB_OK;
	return is_vip(p->flow.destination, p->flow.is_v6) ? LB_FRAGMENT_ORPHAN : LB_NOT_OURS;
}

/* Keeps the ports of a first fragment under its new addresses, too: an error may quote a later one as it is
 * then. The flow's addresses are those in the frame, which have been rewritten. */
static __always_inline void remember_rewritten(struct packet *p)
{
	p->flow.ports = load32(p->l4);
	remember_fragment(p);
}
