/* What becomes of a packet: one action for each reason. XDP_REDIRECT stands for leaving by an interface, be it the one that
 * the packet came in on. */
#pragma once

#include "lb.h"

static __always_inline int action_of(enum lb_reason why)
{
	switch (why) {
	case LB_FORWARDED:
	case LB_RETURNED:
	case LB_ERROR_FORWARDED:
	case LB_ERROR_RETURNED:
	case LB_ECHO_ANSWERED:
	case LB_TOO_BIG_ANSWERED:
		return XDP_REDIRECT;
	case LB_REJECTED:
		return XDP_TX;
	case LB_NOT_OURS:
	case LB_FOR_THIS_HOST:
	case LB_OTHER_MAC:
	case LB_NOT_IP:
	case LB_VLAN_TAGGED:
	case LB_NOT_TCP_UDP:
	case LB_IPV6_EXTENSION:
	case LB_TTL_EXPIRED:
	case LB_NEIGHBOUR_MISSING:
	case LB_TOO_BIG_PASSED:
	case LB_SUPER_PACKET_PASSED:
		return XDP_PASS;
	case LB_NEIGHBOUR_PENDING:
	case LB_MALFORMED_ETHERNET:
	case LB_MALFORMED_IP:
	case LB_MALFORMED_L4:
	case LB_FRAGMENT_ORPHAN:
	case LB_MARTIAN_SOURCE:
	case LB_VIP_NO_SERVICE:
	case LB_REJECT_LIMITED:
	case LB_SOURCE_DENIED:
	case LB_RATE_LIMITED_FLOWS:
	case LB_RATE_LIMITED_PACKETS:
	case LB_PORT_TAKEN:
	case LB_HAIRPIN:
	case LB_NO_REPLICA:
	case LB_NO_ROUTE:
	case LB_TOO_BIG:
	case LB_SUPER_PACKET:
	case LB_TUNNEL_TOO_NARROW:
	case LB_NO_HEADROOM:
	case LB_TABLE_FAULT:
	case LB_REASONS:
	case LB_OK:
		return XDP_DROP;
	}
	return XDP_ABORTED;
}
