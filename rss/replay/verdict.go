package replay

import "fmt"

// Verdict says whether another key or table could help.
type Verdict struct {
	// Kind is one of even, elephant, unhashed, table, key, fields, one-queue.
	Kind string `json:"verdict"`
	// Text says so in sentences.
	Text string `json:"verdict_text"`
}

// What is worth a change: the hottest queue cools by this much of itself.
const (
	nearlyEven = 1.05
	worthwhile = 0.95
)

// verdict compares the rungs of the ladder from the cheapest remedy to the dearest.
func (b *Best) verdict(r *Replay) Verdict {
	unhashed := float64(r.unhashed.By(r.o.Measure)) / float64(r.total.By(r.o.Measure))
	alone := unhashed * float64(r.o.Queues) // max/mean if queue 0 had nothing else
	switch {
	case r.o.Queues == 1:
		return Verdict{"one-queue", "There is one queue; it has all."}
	case b.Now <= nearlyEven:
		return Verdict{"even", fmt.Sprintf("The load is even: the hottest queue has %.2f of the mean. There is nothing to gain.", b.Now)}
	case b.Buckets <= worthwhile*b.Now:
		return Verdict{"table", fmt.Sprintf("A rewritten table helps: the hottest queue has %.2f of the mean, %.2f is possible with the same key and table size (see lbctl rss plan).%s%s",
			b.Now, b.Buckets, b.elephant(r), fewFlows(r))}
	case b.Hashes <= worthwhile*b.Now:
		return Verdict{"key", fmt.Sprintf("No table of %d entries helps, a larger table or another key may: the hottest queue has %.2f of the mean, %.2f is possible.%s",
			len(r.table), b.Now, b.Hashes, b.elephant(r))}
	case b.Flows <= worthwhile*b.Now:
		return Verdict{"fields", fmt.Sprintf("No key or table helps: flows have the same hash. Hashing more fields may: the hottest queue has %.2f of the mean, %.2f is possible.%s",
			b.Now, b.Flows, b.elephant(r))}
	case alone > worthwhile*b.Now:
		return Verdict{"unhashed", fmt.Sprintf("No key or table helps: %.0f %% of the %s are not hashed (not IP, damaged, or without hash fields) and go to queue 0.", 100*unhashed, r.o.Measure)}
	}
	return Verdict{"elephant", fmt.Sprintf("No key or table helps: the hottest queue has %.2f of the mean, and %.2f is the least possible.%s", b.Now, b.Flows, b.elephant(r))}
}

// elephant says what the largest flow makes impossible.
func (b *Best) elephant(r *Replay) string {
	floor := b.LargestFlow * float64(r.o.Queues)
	if floor <= nearlyEven {
		return ""
	}
	return fmt.Sprintf(" The largest flow has %.0f %% of the %s and cannot be split: it alone makes %.2f.", 100*b.LargestFlow, r.o.Measure, floor)
}

// fewFlows warns of a table made to measure.
func fewFlows(r *Replay) string {
	if r.total.Flows >= 4*uint64(len(r.table)) {
		return ""
	}
	return fmt.Sprintf(" But %d flows are few for %d entries: what fits them need not fit those to come.", r.total.Flows, len(r.table))
}
