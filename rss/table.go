package rss

import "fmt"

// Queue is the number of a receive queue, from 0.
type Queue uint16

// The sizes that EqualTable makes. NICs have 64 to 4096 entries.
const (
	MaxTableSize = 1 << 16
	MaxQueues    = 1 << 16
)

// Table is an indirection table: the hash modulo its length picks the entry that
// names the queue. It may have any length; the empty one sends all to queue 0.
type Table []Queue

// EqualTable returns the table of `ethtool -X eth0 equal QUEUES`: entry i is
// i modulo queues. With more queues than entries the last ones get nothing.
func EqualTable(size, queues int) (Table, error) {
	if size < 1 || size > MaxTableSize {
		return nil, fmt.Errorf("indirection table of %d entries: want 1 to %d", size, MaxTableSize)
	}
	if queues < 1 || queues > MaxQueues {
		return nil, fmt.Errorf("indirection table over %d queues: want 1 to %d", queues, MaxQueues)
	}
	t := make(Table, size)
	for i := range t {
		t[i] = Queue(i % queues)
	}
	return t, nil
}

// Index returns the entry that a hash picks: hash modulo length, which is the low
// bits of the hash when the length is a power of two.
func (t Table) Index(hash uint32) int {
	n := uint32(len(t))
	if n&(n-1) == 0 { // a division costs more than the rest of the look-up
		return int(hash & (max(n, 1) - 1))
	}
	return int(hash % n)
}

// Queue returns the queue that a hash goes to.
func (t Table) Queue(hash uint32) Queue {
	if len(t) == 0 {
		return 0
	}
	return t[t.Index(hash)]
}

// Queues returns the number of queues: the highest that an entry names, plus one.
func (t Table) Queues() int {
	queues := 0
	for _, q := range t {
		queues = max(queues, int(q)+1)
	}
	return queues
}

// Shares returns, for each queue from 0, the share of the entries that name it:
// the share of random hashes that it gets. The shares sum to 1; the empty table has none.
func (t Table) Shares() []float64 {
	shares := make([]float64, t.Queues())
	for _, q := range t {
		shares[q]++
	}
	for q := range shares {
		shares[q] /= float64(len(t))
	}
	return shares
}
