package rest

import (
	"lbctl/control/intent"
	"lbctl/lb"
)

// sayTaken warns of replicas that drained, or were down, and that an intent gives new flows again: whoever starts a
// daemon with a file does not see them in it.
func (k *keeper) sayTaken(before, now intent.Intent) {
	had := before.ByVIP()
	for _, s := range now.Services {
		was := had[s.VIP]
		for _, r := range s.Replicas {
			if state, had := was.State(r.Address); had && state != lb.Active && r.State == lb.Active {
				k.log.Warn("the file makes a replica active that was not", "service", s.Name, "replica", r.Address, "was", state)
			}
		}
	}
}
