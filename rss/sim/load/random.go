package load

import (
	"math/rand/v2"
	"time"
)

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
		a.keep[i] = 1 // except for rounding it is
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

// clock gives the times of packets. They are float64, exact to a nanosecond for 100
// days, so that rounding errors do not add up.
type clock struct {
	random *rand.Rand
	timing Timing
	// now is the time of the last packet, gap the mean time between packets while it is on,
	// all in nanoseconds.
	now, gap float64
	// left is the rest of the on-time.
	left, on, off float64
}

func newClock(c Config, random *rand.Rand) *clock {
	k := &clock{random: random, timing: c.Timing, gap: float64(time.Second) / c.Rate, on: float64(c.On), off: float64(c.Off)}
	if c.Timing == Bursts {
		k.gap *= k.on / (k.on + k.off)
		k.left = random.ExpFloat64() * k.on
	}
	return k
}

// next returns the time of the next packet.
func (k *clock) next() time.Duration {
	switch k.timing {
	case Constant:
		k.now += k.gap
	case Poisson:
		k.now += k.random.ExpFloat64() * k.gap
	case Bursts:
		k.now += k.burst(k.random.ExpFloat64() * k.gap)
	}
	return time.Duration(k.now + 0.5)
}

// burst returns the time until this much on-time has passed.
func (k *clock) burst(wait float64) (passes float64) {
	for k.left < wait {
		passes += k.left + k.random.ExpFloat64()*k.off
		wait -= k.left
		k.left = k.random.ExpFloat64() * k.on
	}
	k.left -= wait
	return passes + wait
}
