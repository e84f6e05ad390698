package load

import "math/rand/v2"

// alias draws from a discrete distribution in constant time: Walker's alias method, in
// Vose's form (IEEE Trans. Software Engineering 17(9), 1991). Column i yields i with
// probability keep[i], else other[i].
type alias struct {
	keep  []float64
	other []uint32
}

// newAlias prepares to draw i with a probability proportional to weights[i]. Weights are at
// least 0 and one of them is above 0.
func newAlias(weights []float64) alias {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	a := alias{make([]float64, len(weights)), make([]uint32, len(weights))}
	var small, large []uint32
	for i, w := range weights {
		a.keep[i], a.other[i] = w/sum*float64(len(weights)), uint32(i)
		if a.keep[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.other[s] = l
		a.keep[l] -= 1 - a.keep[s]
		if a.keep[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		a.keep[i] = 1 // but for rounding it is
	}
	return a
}

// draw returns an index.
func (a alias) draw(r *rand.Rand) int {
	i := r.IntN(len(a.keep))
	if r.Float64() < a.keep[i] {
		return i
	}
	return int(a.other[i])
}
