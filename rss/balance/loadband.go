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
	// trials is the number of simulations of LoadBand.
	trials = 2000
	// single is the number of largest loads that are placed one by one.
	single = 2000
)

// LoadBand returns the central band that holds the imbalance (max/mean over places) of loads
// with a probability of level, when each load is placed whole and at random by the weights: what
// other random RSS keys would give. It differs from the band of counts because few flows carry
// most packets.
//
// loads is sorted, the largest first; fixed are loads that are on the places already. The band is
// estimated by simulation with random, to within a few percent: the largest loads are placed one by
// one, the small ones together by the normal distribution. It returns an error for
// invalid weights or when there is nothing to place.
func LoadBand(loads, fixed []uint64, weights []float64, level float64, random *rand.Rand) (Range, error) {
	t := &throw{large: loads[:min(single, len(loads))], fixed: fixed, random: random}
	for _, l := range loads[len(t.large):] {
		t.rest += float64(l)
		t.squares += float64(l) * float64(l)
	}
	return t.band(weights, level)
}

// CountBand is LoadBand of n equal loads.
func CountBand(n int, weights []float64, level float64, random *rand.Rand) (Range, error) {
	t := &throw{large: make([]uint64, min(single, max(n, 0))), fixed: make([]uint64, len(weights)), random: random}
	for i := range t.large {
		t.large[i] = 1
	}
	t.rest = float64(n - len(t.large))
	t.squares = t.rest
	return t.band(weights, level)
}

// throw places loads at random.
type throw struct {
	// large loads are placed one by one; fixed ones are on the places already.
	large, fixed []uint64
	// rest and squares are the sum of the small loads and of their squares.
	rest, squares float64
	random        *rand.Rand

	shares []float64
	// upTo are the running sums of shares, to draw a place.
	upTo   []float64
	mean   float64
	places []float64
}

// band returns the band of many simulations.
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
		return errors.New("there is no load to place")
	}
	for _, s := range t.shares {
		sum += s
		t.upTo = append(t.upTo, sum)
	}
	t.mean, t.places = total/float64(len(weights)), make([]float64, len(weights))
	return nil
}

// once places all loads and returns max/mean.
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

// small places the small loads. Each place in turn takes its random part of the rest, so that
// nothing is lost.
func (t *throw) small() {
	rest, squares, left := t.rest, t.squares, 1.0
	for q, share := range t.shares {
		part := min(1, share/max(left, share, math.SmallestNonzeroFloat64))
		load := rest*part + math.Sqrt(squares*part*(1-part))*t.random.NormFloat64()
		t.places[q] = min(max(load, 0), rest)
		rest, squares, left = rest-t.places[q], squares*(1-part), left-share
	}
}
