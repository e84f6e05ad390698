package spread

import (
	"fmt"

	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// Names of the checks.
const (
	FlowReplicaAffinity = "flow-replica-affinity"
	FlowQueueAffinity   = "flow-queue-affinity"
	FlowCoreAffinity    = "flow-core-affinity"
	QueueAsPredicted    = "queue-as-predicted"
	ReplicaAsPredicted  = "replica-as-predicted"
	ObjectSpread        = "object-spread"
	HotObjectSpread     = "hot-object-spread"
	NothingLost         = "nothing-lost"
)

// Checks compares the evidence with the claims and with the model. A check also
// fails when evidence for it is missing.
func Checks(e Evidence, m predict.Model) []report.Check {
	t := newTally(e)
	return []report.Check{
		t.flowReplicaAffinity(), t.flowQueueAffinity(), t.flowCoreAffinity(),
		t.queueAsPredicted(m), t.replicaAsPredicted(m),
		t.objectSpread(m.ReplicaShares()), t.nothingLost(),
	}
}

// flowReplicaAffinity counts connections that reached more than one replica,
// by the word of any witness.
func (t tally) flowReplicaAffinity() report.Check {
	split, packets := 0, uint64(0)
	for _, c := range t.connections {
		split += experiment.One(len(c.replicas()) > 1)
		packets += c.packets
	}
	return report.Check{
		Name: FlowReplicaAffinity, Measured: split, Expected: 0,
		Pass: split == 0 && len(t.replicaGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections, with %s packets, reached more than one replica; the clients' log, the access logs and the captures were asked.%s",
			report.Cell(split), report.Cell(len(t.connections)), report.Cell(packets), but(t.replicaGaps)),
	}
}

// flowQueueAffinity counts connections that came on more than one receive queue.
func (t tally) flowQueueAffinity() report.Check {
	split, packets := 0, uint64(0)
	for _, c := range t.connections {
		if c.seen != nil {
			split += experiment.One(len(c.seen.Queues) > 1)
			packets += c.seen.Packets
		}
	}
	return report.Check{
		Name: FlowQueueAffinity, Measured: split, Expected: 0,
		Pass: split == 0 && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections, with %s packets to the VIP, were seen on more than one receive queue.%s",
			report.Cell(split), report.Cell(len(t.connections)), report.Cell(packets), but(t.queueGaps)),
	}
}

// flowCoreAffinity counts connections whose packets were processed on more than one core.
func (t tally) flowCoreAffinity() report.Check {
	split, cores := 0, map[int]bool{}
	for _, c := range t.connections {
		if c.seen != nil {
			split += experiment.One(len(c.seen.CPUs) != 1)
			for _, cpu := range c.seen.CPUs {
				cores[cpu] = true
			}
		}
	}
	return report.Check{
		Name: FlowCoreAffinity, Measured: split, Expected: 0,
		Pass: split == 0 && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections were not processed on exactly one core; %d cores had work.%s",
			report.Cell(split), report.Cell(len(t.connections)), len(cores), but(t.queueGaps)),
	}
}

// queueAsPredicted counts packets off the queue that the model of the NIC names.
func (t tally) queueAsPredicted(m predict.Model) report.Check {
	var off, packets uint64
	for _, c := range t.connections {
		if c.seen != nil {
			packets += c.seen.Packets
			off += c.seen.Packets - c.seen.Queues[m.Queue(c.flow)]
		}
	}
	return report.Check{
		Name: QueueAsPredicted, Measured: off, Expected: 0,
		Pass: off == 0 && packets > 0 && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("%s of %s packets to the VIP came on another queue than the Toeplitz model predicts.%s",
			report.Cell(off), report.Cell(packets), but(t.queueGaps)),
	}
}

// flowsOffQueue counts connections of which any packet was off the queue that the model predicts.
func (t tally) flowsOffQueue(m predict.Model) int {
	off := 0
	for _, c := range t.connections {
		off += experiment.One(c.seen != nil && c.seen.Queues[m.Queue(c.flow)] != c.seen.Packets)
	}
	return off
}

// replicaAsPredicted counts connections off the replica that the model of the load balancer names.
func (t tally) replicaAsPredicted(m predict.Model) report.Check {
	off := t.flowsOffReplica(m)
	return report.Check{
		Name: ReplicaAsPredicted, Measured: off, Expected: 0,
		Pass: off == 0 && len(t.replicaGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections were on another replica than %s names, h being the %v of the 4-tuple.%s",
			report.Cell(off), report.Cell(len(t.connections)), m.Rule(), m.Service.Hash, but(t.replicaGaps)),
	}
}

// flowsOffReplica counts connections that any witness saw off the replica that the model predicts.
func (t tally) flowsOffReplica(m predict.Model) int {
	off := 0
	for _, c := range t.connections {
		want := m.Replica(c.flow)
		off += experiment.One(len(c.replicas()) != 1 || c.replicas()[0] != want)
	}
	return off
}
