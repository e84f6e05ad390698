package intent

import (
	"iter"

	"lbctl/lb"
)

// Pairs are the services of next, in order, each with the one of its name in old, nil where there is none; then those of old, in
// order, that are not in next, with nil. Where one follows from the other by a small change, and that is nearly always, it makes
// no index of 10,000 names.
func Pairs(old, next []Service) iter.Seq2[*Service, *Service] {
	return func(yield func(was, is *Service) bool) {
		n := 0
		for ; n < len(old) && n < len(next) && old[n].Name == next[n].Name; n++ {
			if !yield(&old[n], &next[n]) {
				return
			}
		}
		old, next = old[n:], next[n:]
		had := make(map[string]*Service, len(old))
		for n := range old {
			had[old[n].Name] = &old[n]
		}
		for n := range next {
			if !yield(had[next[n].Name], &next[n]) {
				return
			}
			delete(had, next[n].Name)
		}
		for n := range old {
			if had[old[n].Name] != nil && !yield(&old[n], nil) {
				return
			}
		}
	}
}

// Lookup returns a function that finds the service of a VIP, nil if there is none; n is where it may be. While it is there
// no index is made.
func (i Intent) Lookup() func(n int, v lb.VIP) *Service {
	var at map[lb.VIP]int
	return func(n int, v lb.VIP) *Service {
		if n < len(i.Services) && i.Services[n].VIP == v {
			return &i.Services[n]
		}
		if at == nil {
			at = make(map[lb.VIP]int, len(i.Services))
			for n, s := range i.Services {
				at[s.VIP] = n
			}
		}
		if n, there := at[v]; there {
			return &i.Services[n]
		}
		return nil
	}
}
