package kv

import (
	"fmt"
	"math/rand/v2"
)

// Plan says which keys are requested over which connections. Each key is requested Times times, over as many different
// connections, which are chosen at random, each set of them as likely as any other.
type Plan struct {
	Connections, Keys, Times int
	// Classes divide the keys and the connections, key k and connection i being of the classes k and i mod Classes: a
	// key is requested over connections of its own class alone. 0 and 1 are the same.
	Classes int
	Seed    uint64
}

// Step is one request on a connection.
type Step struct {
	Key int
	Put bool
}

func (p Plan) classes() int { return max(p.Classes, 1) }

// Validate says what is wrong with a plan.
func (p Plan) Validate() error {
	if p.Keys < 1 || p.Times < 1 || p.Times > p.Connections/p.classes() {
		return fmt.Errorf("%d keys, each over %d of %d connections in %d classes: want at least 1 key, and as many connections in each class",
			p.Keys, p.Times, p.Connections, p.classes())
	}
	return nil
}

// Steps returns the requests by connection. The plan must be valid. Over the first connection of a key it is put before it
// is got.
func (p Plan) Steps() [][]Step {
	steps := make([][]Step, p.Connections)
	for key := range p.Keys {
		for nth, i := range p.Over(key) {
			if nth == 0 {
				steps[i] = append(steps[i], Step{Key: key, Put: true})
			}
			steps[i] = append(steps[i], Step{Key: key})
		}
	}
	return steps
}

// Over returns the connections over which a key is requested, in the order in which they were chosen.
func (p Plan) Over(key int) []int {
	random := rand.New(rand.NewPCG(p.Seed, uint64(key)))
	var class []int
	for i := key % p.classes(); i < p.Connections; i += p.classes() {
		class = append(class, i)
	}
	for n := range p.Times { // Fisher and Yates, as far as needed
		other := n + random.IntN(len(class)-n)
		class[n], class[other] = class[other], class[n]
	}
	return class[:p.Times]
}
