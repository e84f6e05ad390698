package config

import (
	"slices"
	"time"

	"lbctl/lb"
)

// At returns the intent as it is at a time: draining replicas whose deadline has come are
// down, and have none any more.
func (i Intent) At(now time.Time) Intent {
	next, due := i.NextDeadline()
	if !due || next.After(now) {
		return i
	}
	i.Services = slices.Clone(i.Services)
	for n, s := range i.Services {
		i.Services[n] = s.at(now)
	}
	return i
}

func (s Service) at(now time.Time) Service {
	if len(s.Deadlines) == 0 {
		return s
	}
	all := s.replicas()
	for n, r := range all {
		if !r.DrainUntil.IsZero() && !r.DrainUntil.After(now) {
			all[n].State, all[n].DrainUntil = lb.Down, time.Time{}
		}
	}
	return s.changed(all)
}

// NextDeadline returns the earliest deadline, false when there is none.
func (i Intent) NextDeadline() (next time.Time, found bool) {
	for _, s := range i.Services {
		for _, t := range s.Deadlines {
			if !found || t.Before(next) {
				next, found = t, true
			}
		}
	}
	return next, found
}
