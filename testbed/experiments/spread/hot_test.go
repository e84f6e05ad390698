package spread

import (
	"math/rand/v2"
	"testing"

	"lbctl/testbed/predict"
	"lbctl/testbed/replica"
)

// hot is good evidence of an arm in which half of all requests are for object 3.
func hot(m predict.Model) Evidence {
	return fabricate(m, testConnections, testRequests, func(r *rand.Rand, _ int) int {
		if r.IntN(2) == 0 {
			return 3
		}
		return r.IntN(testObjects)
	})
}

// TestHotSpread: a hot object leaves the replicas with equal shares, and would not if it belonged to one of them.
func TestHotSpread(t *testing.T) {
	m := testModel(t)
	tally := newTally(hot(m))
	expect(t, tally.hotSpread(m.ReplicaShares()), true)
	if o := tally.objects(); o.hottest() != 3 || o.share(3) < 0.5 || o.share(3) > 0.56 {
		t.Errorf("the hottest is %d, with a share of %v", o.hottest(), o.share(3))
	}
	l := tally.loads()
	if l.replica < 1 || l.replica > 1.2 || l.core < 1 || l.core > 1.2 || l.bound < 2 || l.bound > 2.7 {
		t.Errorf("loads %+v: want the busiest replica and core near the mean, and 2.5 if objects belonged to replicas", l)
	}
	if rows := tally.oneObject(m).Rows; len(rows) != mostRows || len(rows[0]) != 7 {
		t.Errorf("connections of the object: %v", rows)
	}
}

// TestHotSpreadFails when one replica serves the hot object alone, all connections on one replica, and without evidence.
func TestHotSpreadFails(t *testing.T) {
	m := testModel(t)
	e := hot(m)
	for i, log := range e.Access {
		var rest []replica.Access
		for _, a := range log {
			if i == 0 || a.Object != 3 {
				rest = append(rest, a)
			} else {
				e.Access[0] = append(e.Access[0], a)
			}
		}
		if i > 0 {
			e.Access[i] = rest
		}
	}
	expect(t, newTally(e).hotSpread(m.ReplicaShares()), false)
	single := fabricate(m, 1, testObjects, func(_ *rand.Rand, n int) int { return n })
	expect(t, newTally(single).hotSpread(m.ReplicaShares()), false)
	expect(t, newTally(Evidence{}).hotSpread(m.ReplicaShares()), false)
	if l := newTally(Evidence{}).loads(); l != (loads{}) {
		t.Errorf("without evidence: %+v", l)
	}
}
