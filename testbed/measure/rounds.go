package measure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Plan says how arms are interleaved.
type Plan struct {
	// Seed decides the order of the arms in each round.
	Seed uint64
	// Rounds is the least number of rounds that count. As long as fewer than this were quiet, up to a third
	// more are run in the place of noisy ones.
	Rounds int
	// Warmup is the number of rounds before these that do not count.
	Warmup int
	// Budget makes Run go on after Rounds rounds until this time is over; 0: it does not.
	Budget time.Duration
	// Progress, if set, is called before each turn.
	Progress func(Turn)

	take func() (Snapshot, error) // in the place of Take, for tests
}

// Turn is the work of one arm in one round.
type Turn struct {
	Arm string
	// Round counts from 0; rounds of the warm-up are below 0.
	Round int
}

// Warmup tells whether the turn does not count.
func (t Turn) Warmup() bool { return t.Round < 0 }

// Arm is one of the things that are compared.
type Arm[M any] struct {
	Name string
	// Run does the work of one turn and returns what was measured.
	Run func(context.Context, Turn) (M, error)
	// Most is the number of rounds that the arm takes part in, the first ones; 0: all. For a control, which
	// needs RoundsFor its false-alarm rate.
	Most int
}

// Rounds is what arms did in rounds. Immutable.
type Rounds[M any] struct {
	// turns are by arm, then by round: an arm that took part in fewer rounds has fewer.
	turns map[string][]M
	noise []Noise
}

// Run runs all arms in every round. Within a round their order is random, but balanced: of as many rounds in
// succession as there are arms, each arm has every position once. An error of an arm, or the end of ctx, ends it.
func Run[M any](ctx context.Context, p Plan, arms ...Arm[M]) (*Rounds[M], error) {
	take := p.take
	if take == nil {
		take = Take
	}
	r := &Rounds[M]{turns: map[string][]M{}}
	for round := -p.Warmup; round < 0; round++ {
		if err := r.round(ctx, p, round, arms); err != nil {
			return nil, err
		}
	}
	w, err := newWatch(take)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	for round := 0; ; round++ {
		if round >= p.Rounds && time.Since(start) >= p.Budget {
			if err := w.close(); err != nil {
				return nil, err
			}
			if quiet(w.noise) >= p.Rounds || round >= p.Rounds+p.Rounds/3 {
				r.noise = w.noise
				return r, nil
			}
		}
		if err := r.round(ctx, p, round, arms); err != nil {
			return nil, err
		}
		if err := w.round(); err != nil {
			return nil, err
		}
	}
}

// Recorded returns rounds of which the values are known, by arm and then by round, and the machine is taken for
// quiet: for tests of what an experiment concludes.
func Recorded[M any](turns map[string][]M) *Rounds[M] {
	r := &Rounds[M]{turns: turns}
	for _, of := range turns {
		r.noise = make([]Noise, max(len(r.noise), len(of)))
	}
	return r
}

// round lets each arm do its turn.
func (r *Rounds[M]) round(ctx context.Context, p Plan, round int, arms []Arm[M]) error {
	for _, i := range p.order(round, len(arms)) {
		a := arms[i]
		if a.Most > 0 && round >= a.Most {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		t := Turn{Arm: a.Name, Round: round}
		if p.Progress != nil {
			p.Progress(t)
		}
		m, err := a.Run(ctx, t)
		if err != nil {
			return fmt.Errorf("measure %s in round %d: %w", a.Name, round, err)
		}
		if !t.Warmup() {
			r.turns[a.Name] = append(r.turns[a.Name], m)
		}
	}
	return nil
}

// order returns the order of n arms in a round. A block of n rounds takes the n rotations of one random
// order, in random succession.
func (p Plan) order(round, n int) []int {
	block := (round + p.Warmup) / max(n, 1)
	random := rand.New(rand.NewPCG(p.Seed, uint64(block)))
	order, rotations := random.Perm(n), random.Perm(n)
	if n == 0 {
		return nil
	}
	by := rotations[(round+p.Warmup)%n]
	return slices.Concat(order[by:], order[:by])
}

// All returns what an arm did, by round, noisy rounds included: what must hold in every round, such as that
// nothing is lost, is asked of these.
func (r *Rounds[M]) All(arm string) []M { return slices.Clone(r.turns[arm]) }

// Noise returns what else the machine did, by round.
func (r *Rounds[M]) Noise() []Noise { return slices.Clone(r.noise) }

// Sample returns a figure of an arm in each round.
func (r *Rounds[M]) Sample(arm string, figure func(M) float64) Sample {
	return r.sample(Collect(r.turns[arm], figure))
}

// Pairs returns f, Ratio or Difference, of a figure of two arms in each round in which both took part.
func (r *Rounds[M]) Pairs(a, b string, figure func(M) float64, f func(a, b float64) float64) Sample {
	return r.Combine([]string{a, b}, func(m []M) float64 { return f(figure(m[0]), figure(m[1])) })
}

// Combine returns what figure makes of several arms in each round in which all of them took part: for instance
// a slope over arms that differ in size. M is in the order of arms.
func (r *Rounds[M]) Combine(arms []string, figure func([]M) float64) Sample {
	var values []float64
	for round := range len(r.noise) {
		var of []M
		for _, arm := range arms {
			if turns := r.turns[arm]; round < len(turns) {
				of = append(of, turns[round])
			}
		}
		if len(of) == len(arms) {
			values = append(values, figure(of))
		}
	}
	return r.sample(values)
}

// sample leaves out the values of noisy rounds, unless these are too many.
func (r *Rounds[M]) sample(values []float64) Sample {
	noise := r.noise[:min(len(values), len(r.noise))]
	if why := unquiet(noise); why != "" {
		return Sample{Values: values, Unquiet: why}
	}
	s := Sample{Excluded: len(noise) - quiet(noise)}
	for i, n := range noise {
		if n.Quiet() {
			s.Values = append(s.Values, values[i])
		}
	}
	return s
}
