/* Fragments: the first one of a packet carries the ports, which are kept for the later ones. */
#pragma once

#include "maps.h"
#include "find.h"

static __always_inline void map_address(__u8 to[16], const void *from, bool is_v6)
{
	if (is_v6) {
		copy16(to, from);
		return;
	}
	store64(to, 0);
	store64(to + 8, mapped_low(load32(from)));
}

static __always_inline struct fragment_key fragment_key(const struct packet *p)
{
	struct fragment_key k __attribute__((aligned(8))) = { /* for map_address */
		.id = p->fragment_id,
		.protocol = p->flow.is_v6 ? 0 : p->flow.l4.wire,
		.ip_version = p->flow.is_v6 ? 6 : 4,
	};

	map_address(k.source, p->flow.source, p->flow.is_v6);
	map_address(k.destination, p->flow.destination, p->flow.is_v6);
	return k;
}

static __always_inline void remember_fragment(const struct packet *p)
{
	struct fragment_key k __attribute__((aligned(8))) = fragment_key(p);
	struct fragment f = { .protocol = p->flow.l4.wire };

	store32(f.ports, p->flow.ports);
	bpf_map_update_elem(&fragments, &k, &f, BPF_ANY);
}

/* Gives a later fragment the ports and protocol of its packet, if the first one has been seen. */
static __always_inline bool find_ports(struct packet *p)
{
	struct fragment_key k __attribute__((aligned(8))) = fragment_key(p);
	struct fragment *f = bpf_map_lookup_elem(&fragments, &k);

	if (!f)
		return false;
	p->flow.ports = load32(f->ports);
	p->flow.l4.wire = f->protocol;
	return true;
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
