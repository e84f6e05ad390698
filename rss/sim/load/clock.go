package load

import (
	"math/rand/v2"
	"time"
)

// clock says when packets come. Times are kept as float64, exact to a nanosecond for 100
// days, so that rounding does not add up.
type clock struct {
	random *rand.Rand
	timing Timing
	// now is the time of the last packet, gap the mean time between packets while it is on,
	// all in nanoseconds.
	now, gap float64
	// left is what remains of the on-time.
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

// next returns when the next packet comes.
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

// burst returns how long it is until so much on-time has passed.
func (k *clock) burst(wait float64) (passes float64) {
	for k.left < wait {
		passes += k.left + k.random.ExpFloat64()*k.off
		wait -= k.left
		k.left = k.random.ExpFloat64() * k.on
	}
	k.left -= wait
	return passes + wait
}
