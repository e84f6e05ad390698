package balance

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Range is a range of ratios, both ends included.
type Range struct {
	Low, High float64
}

const (
	// trials is how often LoadBand throws the loads.
	trials = 2000
	// single is how many of the largest loads it throws one by one.
	single = 2000
)

// LoadBand returns the central band in which the imbalance (max/mean over places) of loads lies
// in level of all cases when each falls whole on a place by the weights, all by chance: what
// another random RSS key would give. A band of counts alone does not say that, as few flows carry
// most packets.
//
// loads is sorted, the largest first; fixed lies on the places already. The largest loads are
// thrown one by one, the small ones together by the normal distribution; the band is an estimate of
// some percent, and random decides it. It returns an error when weights are not possible or
// there is nothing to throw.
func LoadBand(loads, fixed []uint64, weights []float64, level float64, random *rand.Rand) (Range, error) {
	t := &throw{large: loads[:min(single, len(loads))], fixed: fixed, random: random}
	for _, l := range loads[len(t.large):] {
		t.rest += float64(l)
		t.squares += float64(l) * float64(l)
	}
	return t.band(weights, level)
}

// CountBand is LoadBand of n equal things.
func CountBand(n int, weights []float64, level float64, random *rand.Rand) (Range, error) {
	t := &throw{large: make([]uint64, min(single, max(n, 0))), fixed: make([]uint64, len(weights)), random: random}
	for i := range t.large {
		t.large[i] = 1
	}
	t.rest = float64(n - len(t.large))
	t.squares = t.rest
	return t.band(weights, level)
}

// throw is one experiment.
type throw struct {
	// large and fixed are loads that fall one by one, and that lie on places already.
	large, fixed []uint64
	// rest and squares are the sum of the small loads and of their squares.
	rest, squares float64
	random        *rand.Rand

	shares []float64
	// upTo is the running sum of shares, to draw a place.
	upTo   []float64
	mean   float64
	places []float64
}

// band throws often.
func (t *throw) band(weights []float64, level float64) (Range, error) {
	if err := t.prepare(weights); err != nil {
		return Range{}, fmt.Errorf("compute load band: %w", err)
	}
	if !(level > 0 && level < 1) {
		return Range{}, fmt.Errorf("compute load band: level %v: want above 0 and below 1", level)
	}
	ratios := make([]float64, trials)
	for i := range ratios {
		ratios[i] = t.once()
	}
	slices.Sort(ratios)
	tail := int((1 - level) / 2 * trials)
	return Range{ratios[tail], ratios[trials-1-tail]}, nil
}

func (t *throw) prepare(weights []float64) (err error) {
	if t.shares, err = normalise(weights); err != nil {
		return err
	}
	if len(t.fixed) != len(weights) {
		return fmt.Errorf("%d places and %d weights: want as many", len(t.fixed), len(weights))
	}
	thrown, total, sum := t.rest, t.rest, 0.0
	for _, l := range t.large {
		thrown += float64(l)
		total += float64(l)
	}
	for _, f := range t.fixed {
		total += float64(f)
	}
	if thrown <= 0 {
		return errors.New("nothing to throw")
	}
	for _, s := range t.shares {
		sum += s
		t.upTo = append(t.upTo, sum)
	}
	t.mean, t.places = total/float64(len(weights)), make([]float64, len(weights))
	return nil
}

// once throws all and returns max/mean.
func (t *throw) once() float64 {
	t.small()
	for q, f := range t.fixed {
		t.places[q] += float64(f)
	}
	for _, load := range t.large {
		q, _ := slices.BinarySearch(t.upTo, t.random.Float64())
		t.places[min(q, len(t.places)-1)] += float64(load)
	}
	return slices.Max(t.places) / t.mean
}

// small throws the small loads: one place after another takes its part of what is left, so that
// all of it falls somewhere.
func (t *throw) small() {
	rest, squares, left := t.rest, t.squares, 1.0
	for q, share := range t.shares {
		part := min(1, share/max(left, share, math.SmallestNonzeroFloat64))
		load := rest*part + math.Sqrt(squares*part*(1-part))*t.random.NormFloat64()
		t.places[q] = min(max(load, 0), rest)
		rest, squares, left = rest-t.places[q], squares*(1-part), left-share
	}
}
