package spread

import (
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
	NothingLost         = "nothing-lost"
)

// Checks compares the evidence with the claims and with the model. A check also
// fails when evidence for it is missing: what nobody saw is not shown.
func Checks(e Evidence, m Model) []report.Check {
	t := newTally(e)
	return []report.Check{
		t.flowReplicaAffinity(), t.flowQueueAffinity(), t.flowCoreAffinity(),
		t.queueAsPredicted(m), t.replicaAsPredicted(m),
		t.objectSpread(m.replicaShares()), t.nothingLost(),
	}
}

// commas writes a count for a sentence: 4,000.
func commas[N int | uint64](n N) string { return report.Cell(int(n)) }
