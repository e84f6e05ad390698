package identify

import (
	"fmt"
	"math"
	"math/bits"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// facts are the observations in the form that the search needs. They do not change.
type facts struct {
	observations []Observation
	byHash       bool
	// parities are the equations of each observation about its hash.
	parities [][]parity
	// use are the bits of the hash that are compared: all, unless the NIC reports fewer.
	use uint32
	// tables are the possible indirection tables.
	tables []rss.Table
	queues int
	// keyBits is the number of bits of the key that the longest input reaches.
	keyBits, longest int
	inner            bool
	// trials counts, for each key that was tried, in how many ways, and in how many of them it fits.
	trials map[string]*trial
}

// trial counts how a key was tried.
type trial struct{ ways, fits int }

// trial returns the counts of a key.
func (f *facts) trial(key rss.Key) *trial {
	t := f.trials[string(key)]
	if t == nil {
		t = &trial{}
		f.trials[string(key)] = t
	}
	return t
}

// newFacts prepares observations that were validated and all have a hash, or a queue.
func newFacts(observations []Observation, o Options, byHash bool) (*facts, error) {
	f := &facts{observations: observations, byHash: byHash, use: math.MaxUint32, trials: map[string]*trial{}}
	for i := range observations {
		f.longest = max(f.longest, observations[i].longest())
		f.inner = f.inner || observations[i].Inner.Source.IsValid()
		if observations[i].HasQueue {
			f.queues = max(f.queues, int(observations[i].Queue)+1)
		}
	}
	f.keyBits = 8*f.longest + 31
	if !f.byHash {
		if err := f.setTables(o); err != nil {
			return nil, err
		}
	}
	f.state()
	return f, nil
}

// longest is the length in bytes of the longest input of an observation under any arrangement.
func (o *Observation) longest() int {
	n := max(len(o.Input), longestOf(o.Flow))
	return max(n, longestOf(o.Inner))
}

func longestOf(f packet.Flow) int {
	if !f.Source.IsValid() {
		return 0
	}
	n := 2 * len(f.Source.Addr().AsSlice())
	if hasPorts(f) {
		n += 4
	}
	return n
}

// setTables sets the possible tables: the given one, or those that are filled in turn.
func (f *facts) setTables(o Options) error {
	if o.Table != nil {
		f.tables = []rss.Table{o.Table}
	}
	if o.Queues != 0 || o.Table != nil {
		named := max(o.Queues, o.Table.Queues())
		if f.queues > named {
			return fmt.Errorf("queue %d was observed: want below %d, the number of queues", f.queues-1, named)
		}
		f.queues = named
	}
	if o.Table != nil {
		return nil
	}
	for size := 8; size <= 4096; size *= 2 {
		if size < f.queues {
			continue
		}
		table, err := rss.EqualTable(size, f.queues)
		if err != nil {
			return err
		}
		f.tables = append(f.tables, table)
		if f.queues&(f.queues-1) == 0 {
			return nil // larger ones are equivalent
		}
	}
	return nil
}

// state sets up the equations.
func (f *facts) state() {
	f.parities = make([][]parity, len(f.observations))
	var byQueue [][]parity
	if !f.byHash {
		var known rss.Table
		if len(f.tables) == 1 {
			known = f.tables[0]
		}
		byQueue = queueParities(known, f.queues)
	}
	for i, o := range f.observations {
		if f.byHash {
			f.parities[i] = hashParities(o.Hash, f.use)
		} else if int(o.Queue) < len(byQueue) {
			f.parities[i] = byQueue[o.Queue]
		}
	}
}

// using returns the facts with fewer bits of the hash in use.
func (f *facts) using(use uint32) *facts {
	fewer := *f
	fewer.use = use
	fewer.state()
	return &fewer
}

// linearBits is the number of bits of the hash that occur in the equations.
func (f *facts) linearBits() int {
	var all uint32
	for _, parities := range f.parities {
		for _, p := range parities {
			all |= p.mask
		}
	}
	return bits.OnesCount32(all)
}

// bitsEach is the evidence of one observation, in bits, for a function without unknowns.
func (f *facts) bitsEach() float64 {
	if f.byHash {
		return float64(bits.OnesCount32(f.use))
	}
	return math.Log2(float64(f.queues))
}

// matches tells whether observation i agrees with this output of the hash function, under a table.
func (f *facts) matches(i int, output uint32, table rss.Table) bool {
	if f.byHash {
		return (output^f.observations[i].Hash)&f.use == 0
	}
	return table.Queue(output) == f.observations[i].Queue
}
