package identify

import (
	"fmt"
	"math"

	"lbctl/rss"
)

// Options say what is known beside the observations. The zero value says nothing.
type Options struct {
	// Keys are keys that the NIC may have been given, tried beside those of rss.Named.
	Keys []NamedKey
	// KeyLength is the length in bytes of the NIC's key; 0 stands for rss.MinKeyLength, or what the inputs
	// reach if that is more.
	KeyLength int
	// Queues is the number of queues; 0 stands for the highest one seen, plus 1. Only asked for where
	// queues were observed and no hashes.
	Queues int
	// Table is the indirection table; nil stands for one of any size that is filled in turn. As Queues.
	Table rss.Table
	// Seed is of the random orders in which observations are taken when some are wrong.
	Seed uint64
}

// Result is what the observations say.
type Result struct {
	Verdict Verdict
	// ByHash is true when hashes were compared, false when queues were.
	ByHash bool
	// Distinct is the number of observations without repetitions: those that count.
	Distinct int
	// Model is the best one; nil when Unexplained or Constant.
	Model *Model
	// Also are other arrangements that explain as much.
	Also []Arrangement
	// Conflicts are pairs of observations, by number from 0, of one packet with two results.
	Conflicts [][2]int
	// Table explains the queues where hashes and queues were both observed; nil if none that is filled in
	// turn does.
	Table *TurnTable
	// Notes say what else was noticed.
	Notes []string
}

// Tolerance is the share of each class of packets that may contradict the others.
const Tolerance = 0.25

// Identify finds what a NIC hashes, and how. It returns an error when there are no observations, one is not
// valid, or the options are not possible; not when nothing is found.
//
// Hashes are compared if all observations have one. If these are not explained, but all have queues as well, queues
// are: some NICs report another hash than they use.
func Identify(observations []Observation, o Options) (Result, error) {
	byHash, err := check(observations, o)
	if err != nil {
		return Result{}, err
	}
	r, err := identify(observations, o, byHash)
	if err != nil || !byHash || r.Verdict == Identified || r.Verdict == Undetermined {
		return r, err
	}
	for i := range observations {
		if !observations[i].HasQueue {
			return r, nil
		}
	}
	byQueue, err := identify(observations, o, false)
	if err != nil || byQueue.Verdict != Identified {
		return r, nil // the hashes say more
	}
	byQueue.Notes = append(byQueue.Notes, fmt.Sprintf("the hashes that were observed are %v: they are not what the queues are chosen by", r.Verdict))
	return byQueue, nil
}

func identify(observations []Observation, o Options, byHash bool) (Result, error) {
	distinct, conflicts := distinguish(observations, byHash)
	r := Result{ByHash: byHash, Distinct: len(distinct), Conflicts: conflicts}
	if constant(observations, distinct, byHash) {
		r.Verdict = Constant
		return r, nil
	}
	f, err := newFacts(observations, o, byHash)
	if err != nil {
		return Result{}, err
	}
	s := &search{facts: f, distinct: distinct, candidates: candidates(o.Keys, f.longest), seed: o.Seed}
	r.Verdict = s.run()
	r.Notes = s.notes
	if s.best != nil {
		r.Model, r.Also = s.model(o), s.others
		r.Notes = append(r.Notes, r.Model.notes()...)
	} else if byHash {
		r.Notes = append(r.Notes, f.affine(distinct)...)
	}
	if byHash {
		table, notes := tables(observations)
		r.Table, r.Notes = table, append(r.Notes, notes...)
	}
	return r, nil
}

// check validates and says whether there are hashes to compare: they are, when all observations have one.
func check(observations []Observation, o Options) (byHash bool, err error) {
	if len(observations) == 0 {
		return false, fmt.Errorf("no observations")
	}
	if len(observations) > MaxObservations {
		return false, fmt.Errorf("%d observations: want at most %d", len(observations), MaxObservations)
	}
	if o.KeyLength != 0 && (o.KeyLength < rss.MinKeyLength || o.KeyLength > rss.MaxKeyLength) {
		return false, fmt.Errorf("rss key of %d bytes: want %d to %d", o.KeyLength, rss.MinKeyLength, rss.MaxKeyLength)
	}
	hashes, queues := 0, 0
	for i := range observations {
		if err := observations[i].validate(); err != nil {
			return false, fmt.Errorf("%s: %w", observations[i].name(i), err)
		}
		if observations[i].HasHash {
			hashes++
		}
		if observations[i].HasQueue {
			queues++
		}
	}
	switch len(observations) {
	case hashes:
		return true, nil
	case queues:
		return false, nil
	}
	return false, fmt.Errorf("%d of %d observations have a hash and %d a queue: want one of the two in all", hashes, len(observations), queues)
}

// name says which observation is meant.
func (o *Observation) name(i int) string {
	if o.Line > 0 {
		return fmt.Sprintf("line %d", o.Line)
	}
	return fmt.Sprintf("observation %d", i)
}

// result is what is compared.
func (o *Observation) result(byHash bool) uint32 {
	if byHash {
		return o.Hash
	}
	return uint32(o.Queue)
}

// distinguish returns the observations without repetitions, and those that contradict an earlier one of
// the same packet.
func distinguish(observations []Observation, byHash bool) (distinct []int, conflicts [][2]int) {
	type outcome struct {
		subject
		result uint32
	}
	first, seen := map[subject]int{}, map[outcome]bool{}
	for i := range observations {
		o := &observations[i]
		s := o.subject()
		if seen[outcome{s, o.result(byHash)}] {
			continue
		}
		seen[outcome{s, o.result(byHash)}] = true
		distinct = append(distinct, i)
		if earlier, ok := first[s]; ok {
			conflicts = append(conflicts, [2]int{earlier, i})
		} else {
			first[s] = i
		}
	}
	return distinct, conflicts
}

// constant tells whether at least two packets were observed and all had the same result.
func constant(observations []Observation, distinct []int, byHash bool) bool {
	for _, i := range distinct {
		if observations[i].result(byHash) != observations[distinct[0]].result(byHash) {
			return false
		}
	}
	return len(distinct) > 1
}

// notEnough tells whether chance would leave as much evidence.
func notEnough(evidence float64) bool { return evidence < enough || math.IsNaN(evidence) }
