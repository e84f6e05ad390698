package rest

import (
	"github.com/prometheus/client_golang/prometheus"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// flowDescs describe what is remembered of flows.
type flowDescs struct{ marked, replicaFlows, olderSlots, state, safe, deadline *prometheus.Desc }

func describeFlows(describe func(name, help string, labels ...string) *prometheus.Desc) flowDescs {
	return flowDescs{
		marked: describe("service_marked_slots", "Slots in which flows may be elsewhere than the table says, since a change of the replicas.",
			"service", "vip", "protocol"),
		replicaFlows: describe("replica_flows", "Recorded flows, by replica: established, or embryonic, which have only started.",
			"service", "vip", "protocol", "replica", "state"),
		olderSlots: describe("replica_older_slots", "Marked slots in which the replica still gets flows from before the change.",
			"service", "vip", "protocol", "replica"),
		state: describe("replica_state", "1 for the state that the replica is in: active, draining or down.",
			"service", "vip", "protocol", "replica", "state"),
		safe: describe("replica_safe_to_remove", "1 when the replica is draining or down and, as far as is known, has no flow left.",
			"service", "vip", "protocol", "replica"),
		deadline: describe("replica_drain_deadline_seconds", "When a draining replica is set down, in seconds since 1970; of those that have a deadline.",
			"service", "vip", "protocol", "replica"),
	}
}

func (d flowDescs) collect(to chan<- prometheus.Metric, dp lb.Dataplane, i intent.Intent) {
	flows, err := dp.Flows()
	if err != nil {
		to <- prometheus.NewInvalidMetric(d.marked, err)
		return
	}
	for n, s := range wireFlows(i, flows).Services {
		to <- gauge(d.marked, float64(s.MarkedSlots), s.Name, s.VIP, s.Protocol)
		for _, r := range s.Replicas {
			d.collectReplica(to, s, r)
		}
		for replica, deadline := range i.Services[n].Deadlines {
			to <- gauge(d.deadline, float64(deadline.Unix()), s.Name, s.VIP, s.Protocol, replica.String())
		}
	}
}

func (d flowDescs) collectReplica(to chan<- prometheus.Metric, s api.ServiceFlows, r api.ReplicaStatus) {
	to <- gauge(d.replicaFlows, float64(r.FlowCounts.Established), s.Name, s.VIP, s.Protocol, r.Address, "established")
	to <- gauge(d.replicaFlows, float64(r.FlowCounts.Embryonic), s.Name, s.VIP, s.Protocol, r.Address, "embryonic")
	to <- gauge(d.safe, oneIf(r.SafeToRemove), s.Name, s.VIP, s.Protocol, r.Address)
	to <- gauge(d.olderSlots, float64(r.FlowCounts.OlderSlots), s.Name, s.VIP, s.Protocol, r.Address)
	for _, state := range []lb.ReplicaState{lb.Active, lb.Draining, lb.Down} {
		to <- gauge(d.state, oneIf(r.State == state.String()), s.Name, s.VIP, s.Protocol, r.Address, state.String())
	}
}
