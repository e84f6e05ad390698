package engine

import (
	"fmt"
	"regexp"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/lb"
)

// Recover returns the intent that a datapath forwards by, made of what it has: for a start whose store has no
// revision. Services are named after their VIPs, and drain deadlines are not known. found is false for a datapath that
// forwards nothing. The error says that what it has cannot be an intent.
func Recover(dp lb.Dataplane, d intent.Datapath) (_ intent.Intent, found bool, _ error) {
	has, err := reconcile.Current(dp)
	if err != nil {
		return intent.Intent{}, false, err
	}
	i := intent.Intent{Datapath: d, Interfaces: has.Interfaces}
	for _, s := range has.Services {
		i.Services = append(i.Services, &intent.Service{Name: nameOf(s.VIP), Service: *s})
	}
	if err := i.Validate(); err != nil {
		return intent.Intent{}, false, fmt.Errorf("take over what is pinned: %w: %w", lb.ErrConflict, err)
	}
	return i, len(has.Services)+len(has.Interfaces) > 0, nil
}

var notInNames = regexp.MustCompile("[^a-z0-9]")

// nameOf returns a name for a service: "tcp-192-0-2-1-80".
func nameOf(v lb.VIP) string {
	return notInNames.ReplaceAllString(fmt.Sprintf("%v-%v-%d", v.Protocol, v.Address.Addr(), v.Address.Port()), "-")
}
