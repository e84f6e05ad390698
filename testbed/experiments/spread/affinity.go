package spread

import (
	"fmt"

	"lbctl/testbed/report"
)

// flowReplicaAffinity counts connections that reached more than one replica,
// by the word of any witness.
func (t tally) flowReplicaAffinity() report.Check {
	split, packets := 0, uint64(0)
	for _, c := range t.connections {
		split += one(len(c.replicas()) > 1)
		packets += c.packets
	}
	return report.Check{
		Name: FlowReplicaAffinity, Measured: split, Expected: 0,
		Pass: split == 0 && len(t.replicaGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections, with %s packets, reached more than one replica; the clients' log, the access logs and the captures were asked.%s",
			commas(split), commas(len(t.connections)), commas(packets), but(t.replicaGaps)),
	}
}

// flowQueueAffinity counts connections that came on more than one receive queue.
func (t tally) flowQueueAffinity() report.Check {
	split, packets := 0, uint64(0)
	for _, c := range t.connections {
		if c.seen != nil {
			split += one(len(c.seen.Queues) > 1)
			packets += c.seen.Packets
		}
	}
	return report.Check{
		Name: FlowQueueAffinity, Measured: split, Expected: 0,
		Pass: split == 0 && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections, with %s packets to the VIP, were seen on more than one receive queue.%s",
			commas(split), commas(len(t.connections)), commas(packets), but(t.queueGaps)),
	}
}

// flowCoreAffinity counts connections whose packets were processed on more than one core.
func (t tally) flowCoreAffinity() report.Check {
	split, cores := 0, map[int]bool{}
	for _, c := range t.connections {
		if c.seen != nil {
			split += one(len(c.seen.CPUs) != 1)
			for _, cpu := range c.seen.CPUs {
				cores[cpu] = true
			}
		}
	}
	return report.Check{
		Name: FlowCoreAffinity, Measured: split, Expected: 0,
		Pass: split == 0 && len(t.queueGaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections were not processed on exactly one core; %d cores had work.%s",
			commas(split), commas(len(t.connections)), len(cores), but(t.queueGaps)),
	}
}
