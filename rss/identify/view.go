package identify

import (
	"cmp"
	"math"
	"slices"

	"lbctl/rss"
)

// view is a choice and order of the observations, by class: those that a search looks at.
type view struct {
	// groups begin with the largest, which says most.
	groups []group
	// tolerance is the share of each group that may contradict.
	tolerance float64
}

// group are observations of one class, by number, and the fields that are tried for them.
type group struct {
	class   string
	members []int
	subsets []rss.Fields
}

// spare is how many members may contradict.
func (v view) spare(g group) int { return int(v.tolerance * float64(len(g.members))) }

// tooMany tells whether so many wrong ones of the members seen so far are more than will be tolerated of
// all: in a random order the share of wrong ones shows early, here by three standard deviations and some.
func (v view) tooMany(wrong, seen int, g group) bool {
	mean := v.tolerance * float64(seen)
	return wrong > v.spare(g) || float64(wrong) > mean+3*math.Sqrt(mean)+4
}

// view groups observations, which keep their order.
func (f *facts) view(a Arrangement, members []int, tolerance float64) view {
	v := view{tolerance: tolerance}
	for _, i := range members {
		name := class(a.flow(&f.observations[i]), f.observations[i].Input)
		at := slices.IndexFunc(v.groups, func(g group) bool { return g.class == name })
		if at < 0 {
			at = len(v.groups)
			v.groups = append(v.groups, group{class: name, subsets: a.subsets(name)})
		}
		v.groups[at].members = append(v.groups[at].members, i)
	}
	slices.SortStableFunc(v.groups, func(a, b group) int { return cmp.Compare(len(b.members), len(a.members)) })
	return v
}

// without returns the view without some of the observations.
func (v view) without(some []int) view {
	out := make(map[int]bool, len(some))
	for _, i := range some {
		out[i] = true
	}
	v.groups = slices.Clone(v.groups)
	for n, g := range v.groups {
		v.groups[n].members = slices.DeleteFunc(slices.Clone(g.members), func(i int) bool { return out[i] })
	}
	return v
}

// size is the number of observations.
func (v view) size() int {
	n := 0
	for _, g := range v.groups {
		n += len(g.members)
	}
	return n
}
