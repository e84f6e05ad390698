package spread

import (
	"fmt"
	"math"
	"slices"

	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// Names of the controls.
const (
	AnotherKey     = "another-key"
	AnotherHash    = "another-hash"
	TableRewritten = "table-rewritten"
	OneConnection  = "one-connection"
	Spray          = "spray"
	WrongBytes     = "wrong-bytes"
	ReplicaRemoved = "replica-removed"
)

// anotherKey holds the main run's evidence against a model with another RSS key. As many
// flows must be off their queue as chance puts there.
func anotherKey(e Evidence, wrong predict.Model) report.Check {
	t := newTally(e)
	aim, off := t.queueAsPredicted(wrong), t.flowsOffQueue(wrong)
	mean, tolerance := offByChance(len(t.connections), wrong.NIC.Config().Table.Shares())
	return experiment.Flips(report.Check{
		Name: AnotherKey, Measured: off, Expected: math.Round(mean),
		Pass: math.Abs(float64(off)-mean) <= tolerance,
		Detail: fmt.Sprintf("Of %s connections, %s are off the queue that a model with another RSS key names; chance puts %s ± %s there.",
			report.Cell(len(t.connections)), report.Cell(off), report.Cell(int(math.Round(mean))), report.Cell(int(tolerance))),
	}, aim)
}

// anotherHash holds the main run's evidence against a load balancer's model with another seed or key.
func anotherHash(e Evidence, wrong predict.Model) report.Check {
	t := newTally(e)
	aim, off := t.replicaAsPredicted(wrong), t.flowsOffReplica(wrong)
	mean, tolerance := offByChance(len(t.connections), wrong.ReplicaShares())
	return experiment.Flips(report.Check{
		Name: AnotherHash, Measured: off, Expected: math.Round(mean),
		Pass: math.Abs(float64(off)-mean) <= tolerance,
		Detail: fmt.Sprintf("Of %s connections, %s are off the replica that a model with another hash names; chance puts %s ± %s there.",
			report.Cell(len(t.connections)), report.Cell(off), report.Cell(int(math.Round(mean))), report.Cell(int(tolerance))),
	}, aim)
}

// offByChance returns how many of n flows an independent guess misses, when places have these
// shares, and how far from that a count may lie by chance.
func offByChance(n int, shares []float64) (mean, tolerance float64) {
	hit := 0.0
	for _, s := range shares {
		hit += s * s
	}
	return float64(n) * (1 - hit), sigmas*math.Sqrt(float64(n)*hit*(1-hit)) + 0.5
}

// tableRewritten: the indirection table was rewritten while all connections were open.
// A flow must have been seen on the queue of the old table and on that of the new one, and on no other.
func tableRewritten(e Evidence, before, after predict.Model) report.Check {
	t := newTally(e)
	aim := t.flowQueueAffinity()
	moved, predicted, wrong := 0, 0, 0
	for _, c := range t.connections {
		a, b := before.Queue(c.flow), after.Queue(c.flow)
		predicted += experiment.One(a != b)
		if c.seen == nil {
			wrong++
			continue
		}
		moved += experiment.One(len(c.seen.Queues) > 1)
		for q := range c.seen.Queues {
			if q != a && q != b {
				wrong++
				break
			}
		}
		wrong += experiment.One((len(c.seen.Queues) > 1) != (a != b))
	}
	stayed := len(t.connections) - predicted
	return experiment.Flips(report.Check{
		Name: TableRewritten, Measured: moved, Expected: predicted,
		Pass: wrong == 0 && moved == predicted && moved > 0 && stayed > 0 && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("The table was rewritten while %s connections were open: %s changed their queue, the model predicted %s and that %s stay; %s were not as predicted.%s",
			report.Cell(len(t.connections)), report.Cell(moved), report.Cell(predicted), report.Cell(stayed), report.Cell(wrong), but(t.queueGaps)),
	}, aim)
}

// oneConnection: all objects over one keep-alive connection come from one replica.
func oneConnection(e Evidence, m predict.Model) report.Check {
	t := newTally(e)
	aim, hot := t.objectSpread(m.ReplicaShares()), t.hotSpread(m.ReplicaShares())
	o := t.objects()
	serving, served := 0, 0
	for i := range o.requests {
		serving += experiment.One(slices.Max(o.requests[i]) > 0)
	}
	for object := range o.askers {
		served += experiment.One(o.servedBy(object) > 0)
	}
	return experiment.Flips(report.Check{
		Name: OneConnection, Measured: serving, Expected: 1,
		Pass: serving == 1 && served == t.Objects && len(t.connections) == 1 && len(t.replicaGaps) == 0,
		Detail: fmt.Sprintf("%d connection asked for %d of %d objects: %d replica served them all.%s",
			len(t.connections), served, t.Objects, serving, but(t.replicaGaps)),
	}, aim, hot)
}

// spray: a NIC that gives each packet to the next queue. Connections come apart over
// the queues; the load balancer does not use queues and must still keep each on one replica.
func spray(e Evidence) report.Check {
	t := newTally(e)
	aim, core, whole := t.flowQueueAffinity(), t.flowCoreAffinity(), t.flowReplicaAffinity()
	split := 0
	for _, c := range t.connections {
		split += experiment.One(c.seen != nil && len(c.seen.Queues) > 1)
	}
	return experiment.Flips(report.Check{
		Name: Spray, Measured: split, Expected: len(t.connections),
		Pass: split == len(t.connections) && split > 0 && whole.Pass && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("With a NIC that gives each packet to the next queue, %s of %s connections were seen on more than one queue and %v on more than one core; %v reached more than one replica, for the load balancer hashes the 4-tuple itself.%s",
			report.Cell(split), report.Cell(len(t.connections)), core.Measured, whole.Measured, but(t.queueGaps)),
	}, aim)
}

// wrongBytes: one replica served some objects with a byte changed.
func wrongBytes(e Evidence, at int, objects ...int) report.Check {
	t := newTally(e)
	aim := t.nothingLost()
	caught, served, others := 0, 0, 0
	for _, r := range e.Requests {
		if r.Err == "" {
			continue
		}
		if slices.Contains(objects, r.Object) && r.Replica == at {
			caught++
		} else {
			others++
		}
	}
	for _, a := range e.Access[at] {
		served += experiment.One(slices.Contains(objects, a.Object))
	}
	return experiment.Flips(report.Check{
		Name: WrongBytes, Measured: caught, Expected: served,
		Pass: caught == served && served > 0 && others == 0,
		Detail: fmt.Sprintf("Replica %d served objects %v with one byte changed: %s times, of which the clients noticed %s; %s other requests failed.",
			at, objects, report.Cell(served), report.Cell(caught), report.Cell(others)),
	}, aim)
}

// replicaRemoved: one replica was taken out, without draining, while all connections
// were open. The connections of which h mod N changed come to a second replica, which does not know them.
func replicaRemoved(e Evidence, before, after predict.Model) report.Check {
	t := newTally(e)
	aim := t.flowReplicaAffinity()
	split, predicted, wrong, broken := 0, 0, 0, map[int]bool{}
	for _, c := range t.connections {
		from, to := before.Replica(c.flow), after.Replica(c.flow)
		want := []int{min(from, to)}
		if from != to {
			want = append(want, max(from, to))
			predicted++
		}
		wrong += experiment.One(!slices.Equal(c.replicas(), want))
		split += experiment.One(len(c.replicas()) > 1)
	}
	for _, r := range e.Requests {
		if r.Err != "" {
			broken[r.Connection] = true
		}
	}
	return experiment.Flips(report.Check{
		Name: ReplicaRemoved, Measured: split, Expected: predicted,
		Pass: wrong == 0 && split == predicted && split > 0,
		Detail: fmt.Sprintf("One of %d replicas was removed while %s connections were open and none was remembered: %s were sent to a second replica, the model predicted %s, and %s broke; %s were not as predicted.",
			len(before.Service.Replicas), report.Cell(len(t.connections)), report.Cell(split), report.Cell(predicted), report.Cell(len(broken)), report.Cell(wrong)),
	}, aim)
}
