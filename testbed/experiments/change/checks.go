package change

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"lbctl/lb"
	"lbctl/rss/nic"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// Names of the checks and of the controls.
const (
	PlacedAsPredicted = "placed-as-predicted"
	MovedAsPredicted  = "moved-as-predicted"
	MovedBroke        = "moved-broke"
	SharesAsTheory    = "shares-as-theory"
	MaglevMovesFewer  = "maglev-moves-fewer"
	KeptNoneBroke     = "kept-none-broke"
	QueuesAsPredicted = "queues-as-predicted"
	AllQueuesUsed     = "all-queues-used"

	NotRemembered = "not-remembered"
	Undrained     = "undrained"
	AnotherHash   = "another-hash"
	AnotherTable  = "another-table"
	Polarised     = "polarised"
	AnotherKey    = "another-key"
)

// Names of the arms with the replicas' NICs.
const (
	SameKey       = "h mod N, one key"
	SameKeyMaglev = "Maglev, one key"
	OtherKeys     = "h mod N, other keys"
)

// least is the probability below which a number of moves is not chance. Four are tested: 4 in 100,000 runs fail though
// nothing is wrong.
const least = 1e-5

// bare returns the ways without memory of flows, kept those with it and without a replica that is removed undrained, undrained the rest.
func (e Evidence) bare() []Way { return e.where(func(w Way) bool { return !w.Kept }) }
func (e Evidence) kept() []Way { return e.where(func(w Way) bool { return w.Kept && w.How != remove }) }
func (e Evidence) undrained() []Way {
	return e.where(func(w Way) bool { return w.Kept && w.How == remove })
}

func (e Evidence) where(is func(Way) bool) (all []Way) {
	for _, w := range e.Ways {
		if is(w) {
			all = append(all, w)
		}
	}
	return all
}

// sum adds the counts of several ways.
func sum(ways []Way, another uint32) (s count) {
	for _, w := range ways {
		c := w.count(another)
		s.connections, s.missing, s.misplaced = s.connections+c.connections, s.missing+c.missing, s.misplaced+c.misplaced
		s.predicted, s.least, s.moved = s.predicted+c.predicted, s.least+c.least, s.moved+c.moved
		s.unpredicted, s.broke, s.oddly = s.unpredicted+c.unpredicted, s.broke+c.broke, s.oddly+c.oddly
	}
	return s
}

func (e Evidence) checks() []report.Check {
	return []report.Check{
		e.placed(0), e.moved(0), e.broke(), e.shares(Way.share), e.fewer(), noneBroke(e.kept()), e.queues(func(h Hashed) []*nic.NIC { return h.NICs }), allUsed(e.unpolarised()),
	}
}

// gaps says what is missing.
func (e Evidence) gaps(c count) string {
	var gaps []string
	if c.missing > 0 {
		gaps = append(gaps, fmt.Sprintf("%s connections were not opened, not asked or not seen", report.Cell(c.missing)))
	}
	for _, w := range e.Ways {
		if w.Refused != "" {
			gaps = append(gaps, w.Refused)
			break
		}
	}
	if e.Dropped > 0 {
		gaps = append(gaps, fmt.Sprintf("%s packets were dropped by a capture", report.Cell(e.Dropped)))
	}
	return experiment.But("But the evidence has gaps", gaps)
}

func (e Evidence) placed(another uint32) report.Check {
	c := sum(e.Ways, another)
	return report.Check{
		Name: PlacedAsPredicted, Measured: c.misplaced, Expected: 0, Pass: c.misplaced == 0 && c.connections > 0 && c.missing == 0,
		Detail: fmt.Sprintf("%s of %s connections were answered by another replica than the model of the table names.%s", report.Cell(c.misplaced), report.Cell(c.connections), e.gaps(c)),
	}
}

func (e Evidence) moved(another uint32) report.Check {
	c := sum(e.bare(), another)
	return report.Check{
		Name: MovedAsPredicted, Measured: c.moved, Expected: c.predicted,
		Pass: c.unpredicted == 0 && c.moved == c.predicted && c.moved > 0 && e.gaps(c) == "",
		Detail: fmt.Sprintf("Without memory of flows the packets of %s of %s connections came to another replica after the change, by the captures; the model names %s, and %s were not as it says.%s",
			report.Cell(c.moved), report.Cell(c.connections), report.Cell(c.predicted), report.Cell(c.unpredicted), e.gaps(c)),
	}
}

func (e Evidence) broke() report.Check {
	c := sum(e.bare(), 0)
	return report.Check{
		Name: MovedBroke, Measured: c.broke, Expected: c.moved, Pass: c.oddly == 0 && c.broke > 0 && e.gaps(c) == "",
		Detail: fmt.Sprintf("%s connections broke, by their clients, and %s had come to another replica, which does not know them; %s did one without the other.%s",
			report.Cell(c.broke), report.Cell(c.moved), report.Cell(c.oddly), e.gaps(c)),
	}
}

// noneBroke counts the connections that broke.
func noneBroke(ways []Way) report.Check {
	c := sum(ways, 0)
	return report.Check{
		Name: KeptNoneBroke, Measured: c.broke, Expected: 0, Pass: c.broke == 0 && c.predicted > 0 && c.missing == 0,
		Detail: fmt.Sprintf("%s of %s connections broke; the slots of %s had changed their owner.", report.Cell(c.broke), report.Cell(c.connections), report.Cell(c.predicted)),
	}
}

// tail is how likely a count is that is as far out as k, on either side, among n with a probability of p each.
func tail(n, k int, p float64) float64 {
	b := distuv.Binomial{N: float64(n), P: p}
	return min(1, 2*min(b.CDF(float64(k)), 1-b.CDF(float64(k-1))))
}

// shares holds the moves without memory against a theory.
func (e Evidence) shares(theory func(Way) float64) report.Check {
	var measured, expected, words []string
	pass, n := len(e.bare()) > 0, 0
	for _, w := range e.bare() {
		c, share := w.count(0), theory(w)
		p := tail(c.connections, c.moved, share)
		pass = pass && p >= least && c.missing == 0
		n += c.connections
		measured = append(measured, percent(float64(c.moved)/math.Max(1, float64(c.connections))))
		expected = append(expected, percent(share))
		words = append(words, fmt.Sprintf("%v, %s: %s of %s, p = %.3g", w.Before.Scheduler, w.How, report.Cell(c.moved), report.Cell(c.connections), p))
	}
	return report.Check{
		Name: SharesAsTheory, Measured: strings.Join(measured, ", "), Expected: strings.Join(expected, ", "), Pass: pass,
		Detail:   fmt.Sprintf("Moves in per cent, by %s (below %g fails).", strings.Join(words, "; "), least),
		Estimate: &report.Estimate{Test: "the binomial distribution of each number of moves", FalseAlarm: least, Samples: n, Size: fmt.Sprintf("%d services", len(words))},
	}
}

func percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }

// fewer compares the two tables in the same change.
func (e Evidence) fewer() report.Check {
	moves := func(s lb.Scheduler) (c count) {
		return sum(e.where(func(w Way) bool { return !w.Kept && w.Before.Scheduler == s }), 0)
	}
	modulo, maglev := moves(lb.Modulo), moves(lb.Maglev)
	return report.Check{
		Name: MaglevMovesFewer, Measured: maglev.moved, Expected: fmt.Sprintf("< %d", modulo.moved), Pass: maglev.moved < modulo.moved && maglev.moved > 0,
		Detail: fmt.Sprintf("Of as many connections each, Maglev moved %s, of which %s had to move by any table, and h mod N moved %s.",
			report.Cell(maglev.moved), report.Cell(maglev.least), report.Cell(modulo.moved)),
	}
}

// unpolarised returns the arms in which no queue should stay empty.
func (e Evidence) unpolarised() []Hashed {
	return slices.DeleteFunc(slices.Clone(e.Hashed), func(h Hashed) bool { return h.Name == SameKey })
}

// hashed returns the arm of a name.
func (e Evidence) hashed(name string) Hashed {
	for _, h := range e.Hashed {
		if h.Name == name {
			return h
		}
	}
	return Hashed{}
}

// queues counts queues that are not as a model of the NICs says.
func (e Evidence) queues(model func(Hashed) []*nic.NIC) report.Check {
	wrong, all, flows := 0, 0, 0
	for _, h := range e.Hashed {
		_, n := h.used()
		wrong, all = wrong+h.wrong(model(h)), all+n
		for _, f := range h.Flows {
			flows += len(f)
		}
	}
	return report.Check{
		Name: QueuesAsPredicted, Measured: wrong, Expected: 0, Pass: wrong == 0 && flows > 0,
		Detail: fmt.Sprintf("%s of %s queues of the replicas' network cards, in %d arms with %s connections, got frames though the model puts no connection there, or too few for those that it does.",
			report.Cell(wrong), report.Cell(all), len(e.Hashed), report.Cell(flows)),
	}
}

// allUsed counts queues without frames.
func allUsed(arms []Hashed) report.Check {
	used, all := 0, 0
	for _, h := range arms {
		u, n := h.used()
		used, all = used+u, all+n
	}
	return report.Check{
		Name: AllQueuesUsed, Measured: used, Expected: all, Pass: used == all && all > 0,
		Detail: fmt.Sprintf("%s of %s queues got frames: %d arms, every replica.", report.Cell(used), report.Cell(all), len(arms)),
	}
}

// controls are the same evidence, or that of arms in which something was broken, with which checks must fail.
func (e Evidence) controls(random func() uint64) []report.Check {
	bare, undrained := noneBroke(e.bare()), noneBroke(e.undrained())
	must := sum(e.undrained(), 0)
	another := uint32(1 + random()%(1<<31))
	placed, moved := e.placed(another), e.moved(another)
	table := e.shares(func(w Way) float64 {
		w.Before.Scheduler = lb.Maglev // whose share the moves of modulo do not have
		n := float64(w.Before.Active())
		if w.How == grow {
			return 1 / (n + 1)
		}
		return 1 / n
	})
	polarised, used := allUsed([]Hashed{e.hashed(SameKey)}), e.hashed(SameKey)
	queues := e.queues(func(h Hashed) (other []*nic.NIC) { return wrongKeys(h, random) })
	u, n := used.used()
	return []report.Check{
		counted(NotRemembered, bare.Measured.(int), "Without memory of flows: "+bare.Detail, bare),
		experiment.Flips(report.Check{
			Name: Undrained, Measured: must.broke, Expected: must.least, Pass: must.broke == must.least && must.broke > 0,
			Detail: fmt.Sprintf("With memory of flows a replica was removed without drain: its %s connections had to break, and %s of %s broke.",
				report.Cell(must.least), report.Cell(must.broke), report.Cell(must.connections)),
		}, undrained),
		counted(AnotherHash, placed.Measured.(int), "By a model with another seed: "+placed.Detail, placed, moved),
		experiment.MustFail(AnotherTable, "They are held against what a table that moves as few as possible would move.", table),
		experiment.Flips(report.Check{
			Name: Polarised, Measured: u, Expected: fmt.Sprintf("< %d", n), Pass: u < n && u > 0,
			Detail: fmt.Sprintf("With one hash function and key in the load balancer and in the replicas' network cards, %d of %d queues got frames, and %d stayed empty.", u, n, n-u),
		}, polarised),
		counted(AnotherKey, queues.Measured.(int), "By a model of the network cards with another key: "+queues.Detail, queues),
	}
}

// counted is a control that passes if what it broke was seen to happen, and its aims failed.
func counted(name string, measured int, detail string, aims ...report.Check) report.Check {
	return experiment.Flips(report.Check{Name: name, Measured: measured, Expected: "> 0", Pass: measured > 0, Detail: detail}, aims...)
}

// wrongKeys returns models of the NICs with other keys.
func wrongKeys(h Hashed, random func() uint64) (other []*nic.NIC) {
	for _, n := range h.NICs {
		if wrong, err := predict.WithOtherKey(n, random); err == nil { // as valid as the right one
			n = wrong
		}
		other = append(other, n)
	}
	return other
}
