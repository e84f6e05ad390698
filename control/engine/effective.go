package engine

import (
	"net/netip"
	"slices"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// Facts are what the effective state depends on beside the intent. The zero value: every replica is
// healthy, every interface can be attached, and no deadline has come.
type Facts struct {
	Now    time.Time
	Health Healths
	Links  Links
}

// Endpoint is a replica of one service.
type Endpoint struct {
	VIP     lb.VIP
	Replica netip.AddrPort
}

// Links are what is known of interfaces, by name.
type Links map[string]Link

// Link is what is known of an interface. The zero value: it is not attached, and as far as is known it can be.
type Link struct {
	// Mode is how it is attached, "" when it is not.
	Mode lb.AttachMode
	// Obstacle says why it cannot be attached as wanted, "" when as far as is known it can.
	Obstacle string
}

// given returns what the intent wants at a time, by its configuration and by hand: replicas that drain and whose deadline has
// come are down, and such deadlines are left out. That is the state that the operator gave them, whatever their health is.
func given(i intent.Intent, now time.Time) intent.Intent {
	i = i.Wanted()
	i.Services = edited(i.Services, func(s *intent.Service) *intent.Service { return givenService(s, now) })
	return i
}

// edited returns the services with those in the place of which edit has another. Without one it is the same list.
func edited(all []*intent.Service, edit func(*intent.Service) *intent.Service) []*intent.Service {
	cloned := false
	for n, s := range all {
		other := edit(s)
		if other == s {
			continue
		}
		if !cloned {
			all, cloned = slices.Clone(all), true
		}
		all[n] = other
	}
	return all
}

func givenService(s *intent.Service, now time.Time) *intent.Service {
	if len(s.Deadlines) == 0 {
		return s
	}
	return setDown(s, func(r intent.Replica) bool { return r.Expired(now) })
}

// Effective returns what the datapath is to forward: what the operator has given at the time, with
//   - replicas down that are not healthy, unless that leaves none that is to be active and the service disregards
//     health then, and less of their weight for those that are starting;
//   - interfaces that have an obstacle as they are: in another mode, or left out.
//
// It is a pure function. So a deadline, a failed health check or a link that goes is no change of the
// intent, and no revision: when it passes, the next call returns the intent again.
func Effective(i intent.Intent, f Facts) intent.Intent {
	i = given(i, f.Now)
	if len(f.Health) > 0 {
		i.Services = edited(i.Services, func(s *intent.Service) *intent.Service { return effectiveService(s, f.Health[s.VIP], f.Now) })
	}
	interfaces := i.Interfaces
	i.Interfaces = make([]intent.Interface, 0, len(interfaces))
	for _, wanted := range interfaces {
		if link := f.Links[wanted.Name]; link.Obstacle != "" {
			if link.Mode == "" {
				continue
			}
			wanted.Mode = link.Mode
		}
		i.Interfaces = append(i.Interfaces, wanted)
	}
	return i
}

// effectiveService sets down what is ill, and scales the weights of what is starting. Flows of a replica that drains are not waited
// for when it is ill: they are broken, and elsewhere their clients get an answer. Where health is disregarded, that holds for
// draining replicas too.
func effectiveService(s *intent.Service, health map[netip.AddrPort]Health, now time.Time) *intent.Service {
	if len(health) == 0 || s.Health.WhenNone == intent.AllServe && noneWell(s, health) {
		return s
	}
	s = setDown(s, func(r intent.Replica) bool { return r.State != lb.Down && health[r.Address].ill() })
	if s.Health.SlowStart == 0 {
		return s
	}
	return slowly(s, health, now)
}

// noneWell tells whether no replica is well that is to be active.
func noneWell(s *intent.Service, health map[netip.AddrPort]Health) bool {
	return !slices.ContainsFunc(s.Replicas, func(r lb.Replica) bool { return r.State == lb.Active && !health[r.Address].ill() })
}

// setDown returns a service with those replicas down.
func setDown(s *intent.Service, is func(intent.Replica) bool) *intent.Service {
	var all []intent.Replica
	for n, r := range s.Replicas {
		if !is(intent.Replica{Replica: r, DrainUntil: s.Deadlines[r.Address]}) {
			continue
		}
		if all == nil {
			all = s.AllReplicas()
		}
		all[n].State, all[n].DrainUntil = lb.Down, time.Time{}
	}
	if all == nil {
		return s
	}
	down := s.WithReplicas(all)
	return &down
}
