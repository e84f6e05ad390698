package cli

import (
	"fmt"

	"lbctl/control/api"
)

// HealthText is what checks have found of a replica, "" where there are none.
func HealthText(h *api.ReplicaHealth) string {
	if h == nil {
		return ""
	}
	return h.Status
}

// ReasonText says why nothing gets to a replica, why it is not known to be healthy, or how much of its share it has.
func ReasonText(r api.ReplicaTraffic) string {
	switch h := r.Health; {
	case r.Reason != "" || h == nil:
		return r.Reason
	case h.StartingPercent != nil && h.Reason == "":
		return fmt.Sprintf("starting: %d %% of its share", *h.StartingPercent)
	default:
		return h.Reason
	}
}

// HandText says what was set by hand on a replica, "" for nothing.
func HandText(b api.ByHand) string {
	if b.Override == nil {
		return ""
	}
	return ByHandText(*b.Override)
}
