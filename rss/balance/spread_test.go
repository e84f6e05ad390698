package balance

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// enumerate calls visit with every way to spread r items over the places, and its
// probability.
func enumerate(r int, weights []float64, visit func(places uint, p float64)) {
	var put func(left int, places uint, p float64)
	put = func(left int, places uint, p float64) {
		if left == 0 {
			visit(places, p)
			return
		}
		for i, w := range weights {
			put(left-1, places|1<<i, p*w)
		}
	}
	put(r, 0, 1)
}

// Formulas against every possible outcome.
func TestSpreadOfOneObject(t *testing.T) {
	for _, weights := range [][]float64{Equal(1), Equal(2), Equal(4), {0.5, 0.3, 0.2}, {0.9, 0, 0.1}} {
		for r := range 8 {
			var spread, mean, square float64
			enumerate(r, weights, func(places uint, p float64) {
				k := float64(bits.OnesCount(places))
				mean += k * p
				square += k * k * p
				if k > 1 {
					spread += p
				}
			})
			objects, err := SpreadObjects([]int{r}, weights)
			if err != nil {
				t.Fatal(err)
			}
			if !near(objects.Mean, spread) || !near(objects.Variance, spread*(1-spread)) {
				t.Errorf("%d requests over %v: objects %+v, want mean %v", r, weights, objects, spread)
			}
			pairs, err := SpreadPairs([]int{r}, weights)
			if err != nil {
				t.Fatal(err)
			}
			if !near(pairs.Mean, mean) || !near(pairs.Variance, square-mean*mean) {
				t.Errorf("%d requests over %v: pairs %+v, want mean %v variance %v", r, weights, pairs, mean, square-mean*mean)
			}
		}
	}
}

// The closed formulas for equal replicas, in numbers.
func TestSpreadFormulas(t *testing.T) {
	const n = 4.
	requests := []int{0, 1, 2, 3, 10, 250}
	var objects, pairs float64
	for _, r := range requests {
		if r > 0 {
			objects += 1 - n*math.Pow(1/n, float64(r))
		}
		pairs += n * (1 - math.Pow(1-1/n, float64(r)))
	}
	o, err := SpreadObjects(requests, Equal(n))
	if err != nil || !near(o.Mean, objects) {
		t.Errorf("SpreadObjects = %+v, %v; want mean %v", o, err, objects)
	}
	p, err := SpreadPairs(requests, Equal(n))
	if err != nil || !near(p.Mean, pairs) {
		t.Errorf("SpreadPairs = %+v, %v; want mean %v", p, err, pairs)
	}
}

func TestSpreadRefuses(t *testing.T) {
	for _, c := range []struct {
		requests []int
		weights  []float64
	}{{[]int{-1}, Equal(2)}, {[]int{1}, nil}, {[]int{1}, []float64{-1}}} {
		if _, err := SpreadObjects(c.requests, c.weights); err == nil {
			t.Errorf("SpreadObjects(%v, %v): want an error", c.requests, c.weights)
		}
		if _, err := SpreadPairs(c.requests, c.weights); err == nil {
			t.Errorf("SpreadPairs(%v, %v): want an error", c.requests, c.weights)
		}
	}
}

// Exact and approximate bands hold with their probability, in simulation.
func TestBandHolds(t *testing.T) {
	const seed, runs, level = 3, 1000, 0.9
	random := rand.New(rand.NewPCG(seed, seed))
	for _, c := range []struct {
		name     string
		requests []int
		weights  []float64
	}{
		{"few requests", repeat(3, 64), Equal(4)},
		{"some certain", append(repeat(2, 30), repeat(400, 34)...), Equal(4)},
		{"unequal replicas", repeat(5, 64), []float64{5, 3, 2}},
		{"nearly certain", repeat(24, 64), []float64{5, 4, 4}},
	} {
		objects, err := SpreadObjects(c.requests, c.weights)
		if err != nil {
			t.Fatal(err)
		}
		pairs, err := SpreadPairs(c.requests, c.weights)
		if err != nil {
			t.Fatal(err)
		}
		objectsIn, pairsIn := 0, 0
		for range runs {
			o, p := simulate(random, c.requests, c.weights)
			if objects.Band(level).Contains(o) {
				objectsIn++
			}
			if pairs.Band(level).Contains(p) {
				pairsIn++
			}
		}
		// four standard deviations of the simulation below the level
		least := int(runs * (level - 4*math.Sqrt(level*(1-level)/runs)))
		if objectsIn < least || pairsIn < least {
			t.Errorf("seed %d, %s: objects in %v %d times, pairs in %v %d times of %d, want %d",
				seed, c.name, objects.Band(level), objectsIn, pairs.Band(level), pairsIn, runs, least)
		}
	}
}

// The exact distribution and the approximation agree where both can be had.
func TestBandApproximation(t *testing.T) {
	objects, err := SpreadObjects(repeat(3, 4000), Equal(4))
	if err != nil {
		t.Fatal(err)
	}
	exact := objects.Band(0.95)
	objects.exact = nil
	if got := objects.Band(0.95); abs(got.Low-exact.Low) > 1 || abs(got.High-exact.High) > 1 {
		t.Errorf("by the normal distribution %v, exact %v", got, exact)
	}
	objects.Variance = 0.01
	objects.Mean = 3999.99
	if got := objects.Band(0.999); got.Low >= 3999 || got.High != 4000 {
		t.Errorf("band of a nearly certain count = %v, want to begin below 3999", got)
	}
}

func TestBandOfACertainCount(t *testing.T) {
	objects, err := SpreadObjects([]int{1000, 1000, 1, 0}, Equal(4))
	if err != nil || objects.Band(0.999) != (Band{2, 2}) {
		t.Errorf("band = %v, %v; want 2 to 2", objects.Band(0.999), err)
	}
	pairs, err := SpreadPairs([]int{1000, 1000, 1, 0}, Equal(4))
	if err != nil || pairs.Band(0.999) != (Band{9, 9}) {
		t.Errorf("band = %v, %v; want 9 to 9", pairs.Band(0.999), err)
	}
}

func simulate(random *rand.Rand, requests []int, weights []float64) (objects, pairs int) {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for _, r := range requests {
		var places uint
		for range r {
			x, i := random.Float64()*sum, 0
			for ; i < len(weights)-1 && x >= weights[i]; i++ {
				x -= weights[i]
			}
			places |= 1 << i
		}
		met := bits.OnesCount(places)
		pairs += met
		if met > 1 {
			objects++
		}
	}
	return objects, pairs
}

func repeat(r, times int) []int {
	requests := make([]int, times)
	for i := range requests {
		requests[i] = r
	}
	return requests
}

func abs(n int) int { return max(n, -n) }
