package rss

import (
	"fmt"
	"strconv"
	"strings"
)

// TablePlan says how an indirection table is filled, in the words of ethtool -X. The zero
// value is the driver's default.
type TablePlan struct {
	// Start is the first queue of Equal or Weights.
	Start int
	// Equal is the number of queues that get entries in turn; 0 for none.
	Equal int
	// Weights are the shares of the queues from Start on; nil for none.
	Weights []int
}

// ParseTablePlan reads "default", "equal N" or "weight W0 W1 ...", the last two with an optional
// "start S" before or after.
func ParseTablePlan(s string) (TablePlan, error) {
	var p TablePlan
	words := strings.Fields(s)
	for i := 0; i < len(words); {
		values, err := numbers(words[i+1:])
		if err != nil {
			return TablePlan{}, fmt.Errorf("indirection table %q: %w", s, err)
		}
		switch {
		case words[i] == "default" && len(words) == 1:
		case words[i] == "start" && len(values) == 1 && p.Start == 0:
			p.Start = values[0]
		case words[i] == "equal" && len(values) == 1 && values[0] > 0 && p.Equal == 0 && p.Weights == nil:
			p.Equal = values[0]
		case words[i] == "weight" && len(values) > 0 && p.Equal == 0 && p.Weights == nil:
			p.Weights = values
		default:
			return TablePlan{}, fmt.Errorf("indirection table %q: want default, or equal N, or weight W0 W1 and so on; the last two with start S or without", s)
		}
		i += 1 + len(values)
	}
	if len(words) == 0 || p.Start != 0 && p.Equal == 0 && p.Weights == nil {
		return TablePlan{}, fmt.Errorf("indirection table %q: want default, equal N, or weight W0 W1 and so on", s)
	}
	return p, nil
}

// numbers reads the numbers up to the first word that is a name.
func numbers(words []string) (values []int, err error) {
	for _, w := range words {
		if w[0] >= 'a' && w[0] <= 'z' {
			break
		}
		n, err := strconv.ParseUint(w, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number from 0 to %d", w, 1<<31-1)
		}
		values = append(values, int(n))
	}
	return values, nil
}

// String returns the words that ParseTablePlan reads.
func (p TablePlan) String() string {
	var s strings.Builder
	if p.Start != 0 {
		fmt.Fprintf(&s, "start %d ", p.Start)
	}
	switch {
	case p.Equal != 0:
		fmt.Fprintf(&s, "equal %d", p.Equal)
	case p.Weights != nil:
		s.WriteString("weight")
		for _, w := range p.Weights {
			fmt.Fprintf(&s, " %d", w)
		}
	default:
		return "default"
	}
	return s.String()
}

// Build returns the table of size entries that ethtool would write to a NIC with that
// many queues. The default is the kernel's: entry i is i modulo queues
// (ethtool_rxfh_indir_default in include/linux/ethtool.h).
//
// It returns an error where ethtool or the kernel refuse: a size or a number of queues that is
// out of range, an entry that names a queue that does not exist, weights that are all zero or
// whose sum exceeds size.
func (p TablePlan) Build(size, queues int) (Table, error) {
	if p.Start < 0 || p.Equal < 0 {
		return nil, fmt.Errorf("indirection table %q: want no negative number", p)
	}
	var t Table
	var err error
	switch {
	case p.Weights != nil:
		t, err = p.weighted(size)
	case p.Equal != 0:
		t, err = p.equal(size)
	default:
		t, err = EqualTable(size, queues)
	}
	if err != nil {
		return nil, err
	}
	if queues < 1 || queues > MaxQueues || t.Queues() > queues {
		return nil, fmt.Errorf("indirection table %q names queue %d: want 0 to %d", p, t.Queues()-1, queues-1)
	}
	return t, nil
}

func (p TablePlan) equal(size int) (Table, error) {
	if p.Start+min(p.Equal, size) > MaxQueues {
		return nil, fmt.Errorf("indirection table %q names a queue past %d", p, MaxQueues-1)
	}
	t, err := EqualTable(size, min(p.Equal, MaxQueues))
	for i := range t {
		t[i] += Queue(p.Start)
	}
	return t, err
}

// weighted is fill_indir_table of ethtool's ethtool.c: a queue gets the entries up to
// size * (sum of the weights so far) / (sum of all), rounded down.
func (p TablePlan) weighted(size int) (Table, error) {
	sum := 0
	for _, w := range p.Weights {
		if w < 0 || w > MaxTableSize {
			return nil, fmt.Errorf("indirection table %q: want weights from 0 to %d", p, MaxTableSize)
		}
		sum += w
	}
	switch {
	case size < 1 || size > MaxTableSize:
		return nil, fmt.Errorf("indirection table of %d entries: want 1 to %d", size, MaxTableSize)
	case sum == 0:
		return nil, fmt.Errorf("indirection table %q: want at least one weight above 0", p)
	case sum > size:
		return nil, fmt.Errorf("indirection table %q: weights of %d in all exceed its %d entries", p, sum, size)
	case p.Start+len(p.Weights) > MaxQueues:
		return nil, fmt.Errorf("indirection table %q names a queue past %d", p, MaxQueues-1)
	}
	t := make(Table, 0, size)
	partial := 0
	for j, w := range p.Weights {
		partial += w
		for len(t) < size*partial/sum {
			t = append(t, Queue(p.Start+j))
		}
	}
	return t, nil
}
