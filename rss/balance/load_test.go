package balance

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestCV(t *testing.T) {
	for _, c := range []struct {
		counts []int
		want   float64
	}{{[]int{4, 4, 4}, 0}, {[]int{2, 4, 4, 4, 5, 5, 7, 9}, 0.4}, {[]int{8, 0}, 1}} {
		if got := CV(c.counts); !near(got, c.want) {
			t.Errorf("CV(%v) = %v, want %v", c.counts, got, c.want)
		}
	}
	if got := CV([]int{0, 0}); !math.IsNaN(got) {
		t.Errorf("CV of zeros = %v, want NaN", got)
	}
}

func TestMaxMean(t *testing.T) {
	if got := MaxMean([]uint64{6, 2, 4}); !near(got, 1.5) {
		t.Errorf("MaxMean = %v, want 1.5", got)
	}
	if got := MaxMean([]uint64{0}); !math.IsNaN(got) {
		t.Errorf("MaxMean of nothing = %v, want NaN", got)
	}
}

func TestQuantisationFloor(t *testing.T) {
	for _, c := range []struct {
		weights []float64
		want    float64
	}{
		{Equal(4), 1},
		{[]float64{43, 43, 42}, 43. / 128 * 3}, // 128 entries over 3 queues
		{[]float64{1, 1, 0}, 1.5},              // a queue that no entry names
	} {
		if got, err := QuantisationFloor(c.weights); !near(got, c.want) || err != nil {
			t.Errorf("QuantisationFloor(%v) = %v, %v; want %v", c.weights, got, err, c.want)
		}
	}
	if got, err := QuantisationFloor(nil); err == nil {
		t.Errorf("of no places: %v, want an error", got)
	}
}

// least returns the least possible load of the hottest place, by trying everything.
func least(things, loads []uint64) uint64 {
	if len(things) == 0 {
		return slices.Max(loads)
	}
	best := uint64(math.MaxUint64)
	for i := range loads {
		loads[i] += things[0]
		best = min(best, least(things[1:], loads))
		loads[i] -= things[0]
	}
	return best
}

func TestLPT(t *testing.T) {
	// Graham's own example of the worst case: 11 where 9 is possible.
	if got := slices.Max(LPT([]uint64{5, 5, 4, 4, 3, 3, 3}, make([]uint64, 3))); got != 11 {
		t.Errorf("worst case: %d, want 11", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		things := rapid.SliceOfN(rapid.Uint64Range(0, 20), 0, 7).Draw(t, "things")
		fixed := rapid.SliceOfN(rapid.Uint64Range(0, 20), 1, 4).Draw(t, "fixed")
		before := slices.Clone(fixed)
		best := least(slices.Clone(things), slices.Clone(fixed))
		sum := uint64(0)
		for _, x := range slices.Concat(things, fixed) {
			sum += x
		}
		loads := LPT(things, fixed)
		for _, l := range loads {
			sum -= l
		}
		if sum != 0 || !slices.Equal(fixed, before) {
			t.Fatalf("loads %v of %v and %v", loads, things, fixed)
		}
		if got := slices.Max(loads); got < best || slices.Max(fixed) == 0 && 3*got > 4*best {
			t.Errorf("hottest %d, possible %d", got, best)
		}
	})
}

// The band of loads holds with the requested probability, for a few large loads and for many small
// ones, in a simulation that places every load.
func TestLoadBand(t *testing.T) {
	const seed, runs, level = 7, 1000, 0.9
	for name, c := range map[string]struct {
		loads   []uint64
		fixed   []uint64
		weights []float64
	}{
		"a few":               {[]uint64{100, 50, 20, 10, 5, 5, 1}, make([]uint64, 4), Equal(4)},
		"many":                {slices.Repeat([]uint64{3}, 10_000), make([]uint64, 2), Equal(2)},
		"elephants and mice":  {append([]uint64{5000, 4000, 300}, slices.Repeat([]uint64{1}, 20_000)...), make([]uint64, 4), Equal(4)},
		"unequal, with fixed": {slices.Repeat([]uint64{2}, 5000), []uint64{900, 0, 0}, []float64{2, 1, 1}},
	} {
		random := rand.New(rand.NewPCG(seed, 1))
		band, err := LoadBand(c.loads, c.fixed, c.weights, level, random)
		if err != nil {
			t.Fatal(err)
		}
		shares, _ := normalise(c.weights)
		outside := 0
		for range runs {
			places := slices.Clone(c.fixed)
			for _, l := range c.loads {
				x, q := random.Float64(), 0
				for ; q < len(shares)-1 && x >= shares[q]; q++ {
					x -= shares[q]
				}
				places[q] += l
			}
			if ratio := MaxMean(places); ratio < band.Low-1e-9 || ratio > band.High+1e-9 {
				outside++
			}
		}
		if outside > runs*14/100 || name != "a few" && outside < runs*6/100 {
			t.Errorf("seed %d, %s: band %+v leaves %d of %d outside, want some %v", seed, name, band, outside, runs, runs*(1-level))
		}
	}
}

func TestCountBand(t *testing.T) {
	one, err := CountBand(3000, Equal(8), 0.95, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := LoadBand(slices.Repeat([]uint64{1}, 3000), make([]uint64, 8), Equal(8), 0.95, rand.New(rand.NewPCG(1, 1)))
	if one != other || err != nil {
		t.Errorf("of counts %+v, of loads of 1 %+v, %v", one, other, err)
	}
}

func TestLoadBandRefuses(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for name, c := range map[string]struct {
		loads, fixed []uint64
		weights      []float64
		level        float64
	}{
		"no loads":      {nil, []uint64{0}, Equal(1), 0.9},
		"loads of 0":    {[]uint64{0}, []uint64{5}, Equal(1), 0.9},
		"no places":     {[]uint64{1}, nil, nil, 0.9},
		"unlike fixed":  {[]uint64{1}, []uint64{0}, Equal(2), 0.9},
		"level of 1":    {[]uint64{1}, []uint64{0}, Equal(1), 1},
		"no such level": {[]uint64{1}, []uint64{0}, Equal(1), math.NaN()},
	} {
		if band, err := LoadBand(c.loads, c.fixed, c.weights, c.level, random); err == nil {
			t.Errorf("%s: %+v, want an error", name, band)
		}
	}
	if band, err := CountBand(0, Equal(2), 0.9, random); err == nil {
		t.Errorf("of no things: %+v, want an error", band)
	}
}
