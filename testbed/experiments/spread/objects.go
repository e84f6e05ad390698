package spread

import (
	"fmt"
	"math"

	"lbctl/rss/balance"
	"lbctl/rss/packet"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

const (
	// least is the p-value below which the shares of the replicas are not chance. Two checks ask for it: 8 in 100,000 runs
	// fail though nothing is wrong.
	least = 4e-5
	// sigmas is how far from its mean, in standard deviations, a count may lie.
	sigmas = 5
)

// objects is who served what.
type objects struct {
	// requests counts by [replica][object].
	requests [][]int
	// askers is, for each object, the number of connections over which it was requested:
	// chance decides about connections, not about requests.
	askers []int
	// connections counts by replica.
	connections []int
}

func (t tally) objects() objects {
	o := objects{
		requests: make([][]int, len(t.Access)), askers: make([]int, t.Objects), connections: make([]int, len(t.Access)),
	}
	type asker struct {
		flow   packet.Flow
		object int
	}
	known := map[asker]bool{}
	for i, log := range t.Access {
		o.requests[i] = make([]int, t.Objects)
		flows := map[packet.Flow]bool{}
		for _, a := range log {
			flows[a.Flow] = true
			if a.Object < 0 || a.Object >= t.Objects {
				continue // there is no such object: nothing-lost reports it
			}
			o.requests[i][a.Object]++
			if who := (asker{a.Flow, a.Object}); !known[who] {
				known[who] = true
				o.askers[a.Object]++
			}
		}
		o.connections[i] = len(flows)
	}
	return o
}

// servedBy returns the number of replicas that served an object.
func (o objects) servedBy(object int) int {
	n := 0
	for _, row := range o.requests {
		n += experiment.One(row[object] > 0)
	}
	return n
}

// spread returns how many objects more than one replica served, and how many
// different pairs of object and replica there are.
func (o objects) spread() (several, pairs int) {
	for object := range o.askers {
		n := o.servedBy(object)
		several += experiment.One(n > 1)
		pairs += n
	}
	return several, pairs
}

// objectSpread compares the number of objects on several replicas, and the shares
// of the replicas, with what chance makes of the same connections.
func (t tally) objectSpread(shares []float64) report.Check {
	o := t.objects()
	several, pairs := o.spread()
	check := report.Check{Name: ObjectSpread, Measured: several}
	chance, err := balance.SpreadObjects(o.askers, shares)
	if err != nil {
		return unmeasurable(check, err)
	}
	cells, err := balance.SpreadPairs(o.askers, shares)
	if err != nil {
		return unmeasurable(check, err)
	}
	fit, err := balance.ChiSquare(o.connections, shares)
	if err != nil {
		return unmeasurable(check, err)
	}
	check.Expected = math.Round(1000*chance.Mean) / 1000
	check.Pass = several > 0 && byChance(several, chance) && byChance(pairs, cells) &&
		fit.P >= least && fit.LeastExpected >= 5 && len(t.replicaGaps) == 0
	check.Detail = fmt.Sprintf("%d of %d objects were served by more than one replica; chance expects %.1f. %s object-replica pairs of %.1f expected. Shares of the replicas: chi-square %.2f with %d degrees of freedom, p = %.3g (below %g fails)%s.%s",
		several, t.Objects, chance.Mean, report.Cell(pairs), cells.Mean, fit.Statistic, fit.Degrees, fit.P, least,
		thin(fit), but(t.replicaGaps))
	return check
}

// byChance tells whether a count is within sigmas standard deviations of its mean. That
// is wider than balance's bands, because objects share connections: the mean is exact, the variance is not.
func byChance(count int, c balance.Chance) bool {
	return math.Abs(float64(count)-c.Mean) <= sigmas*math.Sqrt(c.Variance)+0.5
}

func thin(fit balance.Fit) string {
	if fit.LeastExpected < 5 {
		return fmt.Sprintf("; too few connections to tell: %.1f expected on a replica, at least 5 are needed", fit.LeastExpected)
	}
	return ""
}

func unmeasurable(c report.Check, err error) report.Check {
	c.Expected, c.Detail = "evidence", "Nothing to measure: "+err.Error()+"."
	return c
}
