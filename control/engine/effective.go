package engine

import (
	"net/netip"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// Facts are what the effective state depends on beside the intent. The zero value: every replica is
// healthy, every interface can be attached, and no deadline has come.
type Facts struct {
	Now    time.Time
	Health Health
	Links  Links
}

// Health says of replicas that are not healthy why not.
type Health map[Endpoint]string

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

// Effective returns what the datapath is to forward: what the intent wants, by its configuration and by hand, with
//   - replicas down that are not healthy, or that drain and whose deadline has come; a deadline that has
//     come is left out;
//   - interfaces that have an obstacle as they are: in another mode, or left out.
//
// It is a pure function. So a deadline, a failed health check or a link that goes is no change of the
// intent, and no revision: when it passes, the next call returns the intent again.
func Effective(i intent.Intent, f Facts) intent.Intent {
	i = i.Wanted()
	services, interfaces := i.Services, i.Interfaces
	i.Services = make([]intent.Service, 0, len(services))
	for _, s := range services {
		i.Services = append(i.Services, effectiveService(s, f))
	}
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

func effectiveService(s intent.Service, f Facts) intent.Service {
	if len(s.Deadlines) == 0 && len(f.Health) == 0 {
		return s
	}
	all, changed := s.AllReplicas(), false
	for n, r := range all {
		_, unhealthy := f.Health[Endpoint{s.VIP, r.Address}]
		if unhealthy && r.State != lb.Down || expired(r, f.Now) {
			all[n].State, all[n].DrainUntil, changed = lb.Down, time.Time{}, true
		}
	}
	if !changed {
		return s
	}
	return s.WithReplicas(all)
}

// expired tells whether a replica drained until a time that has come.
func expired(r intent.Replica, now time.Time) bool {
	return !r.DrainUntil.IsZero() && !r.DrainUntil.After(now)
}
