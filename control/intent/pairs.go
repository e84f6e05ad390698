package intent

import (
	"iter"

	"lbctl/lb"
)

// Pairs are the services of next, in order, each with the one of its name in old, nil where there is none; then those of old, in
// order, that are not in next, with nil. Where one follows from the other by a small change, and that is nearly always, it makes
// no index of 10,000 names.
func Pairs(old, next []*Service) iter.Seq2[*Service, *Service] {
	return func(yield func(was, is *Service) bool) {
		for len(old) > 0 && len(next) > 0 && old[0].Named(next[0]) {
			if !yield(old[0], next[0]) {
				return
			}
			old, next = old[1:], next[1:]
		}
		same := 0 // at the end
		for same < len(old) && same < len(next) && old[len(old)-1-same].Named(next[len(next)-1-same]) {
			same++
		}
		gone := make(map[string]*Service, len(old)-same)
		for _, s := range old[:len(old)-same] {
			gone[s.Name] = s
		}
		for n, is := range next {
			was := gone[is.Name]
			if n >= len(next)-same {
				was = old[len(old)-len(next)+n]
			}
			if !yield(was, is) {
				return
			}
			delete(gone, is.Name)
		}
		for _, s := range old[:len(old)-same] {
			if gone[s.Name] != nil && !yield(s, nil) {
				return
			}
		}
	}
}

// Named reports whether two services have one name.
func (s *Service) Named(t *Service) bool { return s == t || s.Name == t.Name }

// Changed are those of Pairs that do not say the same. What two lists share costs nothing to speak of.
func Changed(old, next []*Service) iter.Seq2[*Service, *Service] {
	return func(yield func(was, is *Service) bool) {
		for was, is := range Pairs(old, next) {
			if was != is && (was == nil || is == nil || !was.Equal(*is)) && !yield(was, is) {
				return
			}
		}
	}
}

// Sharing returns the intent with those services of old in the place of its own that say the same.
func (i Intent) Sharing(old Intent) Intent {
	services := make([]*Service, 0, len(i.Services))
	for was, is := range Pairs(old.Services, i.Services) {
		switch {
		case is == nil:
		case was != nil && was.Same(is):
			services = append(services, was)
		default:
			services = append(services, is)
		}
	}
	i.Services = services
	return i
}

// Lookup returns a function that finds the service of a VIP, nil if there is none; n is where it may be. While it is there
// no index is made.
func (i Intent) Lookup() func(n int, v lb.VIP) *Service {
	var at map[lb.VIP]int
	return func(n int, v lb.VIP) *Service {
		if n < len(i.Services) && i.Services[n].VIP == v {
			return i.Services[n]
		}
		if at == nil {
			at = make(map[lb.VIP]int, len(i.Services))
			for n, s := range i.Services {
				at[s.VIP] = n
			}
		}
		if n, there := at[v]; there {
			return i.Services[n]
		}
		return nil
	}
}
