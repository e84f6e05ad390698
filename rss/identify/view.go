package identify

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"lbctl/rss"
)

// view is an ordered subset of the observations, by class.
type view struct {
	// groups are in decreasing order of size.
	groups []group
	// tolerance is the share of each group that may contradict.
	tolerance float64
}

// group is the observations of one class, by number, and the fields to try for them.
type group struct {
	class   string
	members []int
	subsets []rss.Fields
}

// spare is the number of members that may contradict.
func (v view) spare(g group) int { return int(v.tolerance * float64(len(g.members))) }

// tooMany tells whether so many contradictions among the members so far mean that more than spare members will
// contradict: in a random order the share shows early, here by three standard deviations and some.
func (v view) tooMany(wrong, seen int, g group) bool {
	mean := v.tolerance * float64(seen)
	return wrong > v.spare(g) || float64(wrong) > mean+3*math.Sqrt(mean)+4
}

// view groups observations, in their order.
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

// name names observation i in messages.
func (o *Observation) name(i int) string {
	if o.Line > 0 {
		return fmt.Sprintf("line %d", o.Line)
	}
	return fmt.Sprintf("observation %d", i)
}

// result is the hash or the queue.
func (o *Observation) result(byHash bool) uint32 {
	if byHash {
		return o.Hash
	}
	return uint32(o.Queue)
}

// distinguish returns the observations without repetitions, and the pairs of the same packet with different
// results.
func distinguish(observations []Observation, byHash bool) (distinct []int, conflicts [][2]int) {
	type outcome struct {
		subject
		result uint32
	}
	first, seen := map[subject]int{}, map[outcome]bool{}
	for i := range observations {
		o := &observations[i]
		s := o.subject()
		if seen[outcome{s, o.result(byHash)}] {
			continue
		}
		seen[outcome{s, o.result(byHash)}] = true
		distinct = append(distinct, i)
		if earlier, ok := first[s]; ok {
			conflicts = append(conflicts, [2]int{earlier, i})
		} else {
			first[s] = i
		}
	}
	return distinct, conflicts
}

// constant tells whether at least two packets were observed and all had the same result.
func constant(observations []Observation, distinct []int, byHash bool) bool {
	for _, i := range distinct {
		if observations[i].result(byHash) != observations[distinct[0]].result(byHash) {
			return false
		}
	}
	return len(distinct) > 1
}
