package traffic

import (
	"math"
	"math/rand/v2"
	"sort"
)

// choice settles which objects a connection asks for. Immutable.
type choice struct {
	config Config
	// upTo is the cumulated popularity: object k has upTo[k]-upTo[k-1].
	upTo []float64
}

func newChoice(c Config) choice {
	upTo := make([]float64, c.Site.Objects)
	sum := 0.0
	for k := range upTo {
		sum += math.Pow(float64(k+1), -c.Popularity)
		upTo[k] = sum
	}
	return choice{config: c, upTo: upTo}
}

// objects returns what connection i asks for, in order.
func (c choice) objects(i int) []int {
	all := make([]int, c.config.RequestsPerConnection)
	random := rand.New(rand.NewPCG(c.config.Seed, uint64(i)))
	for k := range all {
		all[k] = k
		if !c.config.AllObjects {
			all[k] = c.pick(random.Float64())
		}
	}
	return all
}

// pick returns the object in whose share of the popularity u, 0 to 1, lies.
func (c choice) pick(u float64) int {
	last := len(c.upTo) - 1
	return min(sort.SearchFloat64s(c.upTo, u*c.upTo[last]), last)
}
