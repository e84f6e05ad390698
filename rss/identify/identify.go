// Package identify recovers the key, hash function and hash fields of a NIC from observations: pairs of a
// packet's tuple and the hash, or the queue, that the NIC gave it.
//
// The Toeplitz hash is linear over GF(2) in the key: bit j of the hash (0 is the most significant one) is
// the initial value's bit j, plus the key's bits i+j for the input bits i that are set. Each pair gives up to 32
// equations in the bits of key and initial value. Their system is solved for
// each known arrangement of the input: the order, the header, the fields. A
// wrong arrangement leads to a contradiction after a few pairs more than there are unknowns. Functions without
// unknowns (known keys, also byte-reversed and the like, xor, crc32) are computed and compared.
//
// The evidence for a model is the number of observed bits that could have contradicted it, that is equations
// minus rank. A wrong model passes e bits by chance with probability 2^-e.
//
// Queues have less information than hashes. For a table of a multiple of 2^a entries that is filled in turn over a
// multiple of 2^a queues they give the low a bits of the hash. With an odd number of queues only known keys can be tested.
//
// Wrong observations (another key or table at that time, another packet) are tolerated up to Tolerance. Models
// are then solved from random orders of the observations, skipping those that contradict. That
// finds the model when some order begins with correct observations only: 5 to 12 hashes, or as many
// queues as give 100 (IPv4) to 300 (IPv6) equations.
package identify

import (
	"fmt"
	"math"

	"lbctl/rss"
)

// Options is what is known besides the observations. The zero value is valid.
type Options struct {
	// Keys are keys that the NIC may have; they are tried in addition to those of rss.Named.
	Keys []NamedKey
	// Given are those keys of which Result.Given tells whether the NIC can have them.
	Given []rss.Key
	// KeyLength is the length in bytes of the NIC's key; 0 stands for rss.MinKeyLength, or for the length that the
	// inputs reach if that is more.
	KeyLength int
	// Queues is the number of queues; 0 stands for the highest one observed, plus 1. It is used only when
	// queues are compared.
	Queues int
	// Table is the indirection table; nil stands for one of any size that is filled in turn. It is used only when
	// queues are compared.
	Table rss.Table
	// Seed is the seed of the random orders of the observations when some are wrong.
	Seed uint64
}

// Result is what follows from the observations.
type Result struct {
	Verdict Verdict
	// ByHash is true when hashes were compared, false when queues were.
	ByHash bool
	// Distinct is the number of observations without repetitions.
	Distinct int
	// Model is the best one; nil when Unexplained or Constant.
	Model *Model
	// Also are other arrangements that explain the observations as well.
	Also []Arrangement
	// Conflicts are pairs of observations, by number from 0, of one packet with two results.
	Conflicts [][2]int
	// Table explains the queues by the hashes if both were observed; nil if no table that is filled in
	// turn does.
	Table *TurnTable
	// Given says of Options.Given whether the observations exclude them; nil when the verdict is Constant.
	Given []GivenKey
	// Tried are the keys that were tried, in their order; nil when the verdict is Constant.
	Tried []TriedKey
	// Notes are further findings, as sentences.
	Notes []string
}

// TriedKey says in how many ways a known key was tried, as GivenKey, and in how many of them it explains the observations.
type TriedKey struct {
	// Name is empty for the functions that have no key.
	Name       string
	Ways, Fits int
}

// tried lists the keys.
func (s *search) tried() (all []TriedKey) {
	seen := map[string]bool{}
	for _, c := range s.candidates {
		if id := string(c.key.Key); !seen[id] {
			seen[id] = true
			t := s.trial(c.key.Key)
			all = append(all, TriedKey{c.key.Name, t.ways, t.fits})
		}
	}
	return all
}

// GivenKey says what became of a key that was given.
type GivenKey struct {
	Key rss.Key
	// Excluded is true when no model with the key, in none of its forms, explains the observations.
	Excluded bool
	// Ways is the number of models that were tried: forms of the key, headers, orders and bytes of the input, initial
	// values and tables. Each was tried with every set of fields.
	Ways int
}

// given says what became of a key in the search.
func (f *facts) given(key rss.Key) GivenKey {
	g := GivenKey{Key: key, Excluded: true}
	seen := map[string]bool{}
	for _, form := range variants(NamedKey{Key: key}) {
		if !seen[string(form.Key)] {
			seen[string(form.Key)] = true
			t := f.trial(form.Key)
			g.Ways += t.ways
			g.Excluded = g.Excluded && t.fits == 0
		}
	}
	return g
}

// Tolerance is the share of each class of packets that may contradict the others.
const Tolerance = 0.25

// Identify finds the model of a NIC. It returns an error when there are no observations, one is
// invalid, or the options are invalid. Finding no model is not an error.
//
// Hashes are compared if all observations have one. If no model explains them, and all observations also have
// queues, queues are compared, because some NICs report another hash than the one they use.
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
		return r, nil // the result for hashes has more information
	}
	byQueue.Notes = append(byQueue.Notes, fmt.Sprintf("the observed hashes are %v: the NIC does not choose queues by them", r.Verdict))
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
	r.Notes, r.Tried = s.notes, s.tried()
	for _, key := range o.Given {
		r.Given = append(r.Given, f.given(key))
	}
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

// check validates the input and tells whether all observations have a hash.
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

// notEnough tells whether a wrong model could have this evidence by chance.
func notEnough(evidence float64) bool { return evidence < Enough || math.IsNaN(evidence) }
