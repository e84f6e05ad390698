package spread

import (
	"fmt"

	"lbctl/testbed/report"
)

// queueAsPredicted counts packets off the queue that the model of the NIC names.
func (t tally) queueAsPredicted(m Model) report.Check {
	var off, packets uint64
	for _, c := range t.connections {
		if c.seen != nil {
			packets += c.seen.Packets
			off += c.seen.Packets - c.seen.Queues[m.queue(c.flow)]
		}
	}
	return report.Check{
		Name: QueueAsPredicted, Measured: off, Expected: 0,
		Pass: off == 0 && packets > 0 && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("%s of %s packets to the VIP came on another queue than the Toeplitz model names.%s",
			commas(off), commas(packets), but(t.queueGaps)),
	}
}

// flowsOffQueue counts connections of which any packet was off the queue that the model names.
func (t tally) flowsOffQueue(m Model) int {
	off := 0
	for _, c := range t.connections {
		off += one(c.seen != nil && c.seen.Queues[m.queue(c.flow)] != c.seen.Packets)
	}
	return off
}

// replicaAsPredicted counts connections off the replica that the model of the load balancer names.
func (t tally) replicaAsPredicted(m Model) report.Check {
	off := t.flowsOffReplica(m)
	return report.Check{
		Name: ReplicaAsPredicted, Measured: off, Expected: 0,
		Pass: off == 0 && len(t.replicaGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections were on another replica than %s names, h being the %v of the 4-tuple.%s",
			commas(off), commas(len(t.connections)), m.rule(), m.Service.Hash, but(t.replicaGaps)),
	}
}

// flowsOffReplica counts connections that any witness saw off the replica that the model names.
func (t tally) flowsOffReplica(m Model) int {
	off := 0
	for _, c := range t.connections {
		want := m.replica(c.flow)
		off += one(len(c.replicas()) != 1 || c.replicas()[0] != want)
	}
	return off
}
