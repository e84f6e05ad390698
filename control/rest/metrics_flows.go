package rest

import (
	"github.com/prometheus/client_golang/prometheus"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// flowDescs describe what is remembered of flows.
type flowDescs struct{ inTransition, replicaFlows, oldFlowSlots, state, safe, deadline *prometheus.Desc }

func describeFlows(describe func(name, help string, labels ...string) *prometheus.Desc) flowDescs {
	return flowDescs{
		inTransition: describe("service_slots_in_transition", "Slots whose owner changed and whose flows from before may still be with the previous owner.",
			"service", "vip", "protocol"),
		replicaFlows: describe("replica_flows", "Recorded flows, by replica: established, or half_open: only the first packet has come.",
			"service", "vip", "protocol", "replica", "state"),
		oldFlowSlots: describe("replica_old_flow_slots", "Slots in transition whose old flows go to the replica.",
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
		to <- prometheus.NewInvalidMetric(d.inTransition, err)
		return
	}
	for n, s := range wireFlows(i, flows).Services {
		to <- gauge(d.inTransition, float64(s.SlotsInTransition), s.Name, s.VIP, s.Protocol)
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
	to <- gauge(d.replicaFlows, float64(r.FlowCounts.HalfOpen), s.Name, s.VIP, s.Protocol, r.Address, "half_open")
	to <- gauge(d.safe, oneIf(r.SafeToRemove), s.Name, s.VIP, s.Protocol, r.Address)
	to <- gauge(d.oldFlowSlots, float64(r.FlowCounts.OldFlowSlots), s.Name, s.VIP, s.Protocol, r.Address)
	for _, state := range []lb.ReplicaState{lb.Active, lb.Draining, lb.Down} {
		to <- gauge(d.state, oneIf(r.State == state.String()), s.Name, s.VIP, s.Protocol, r.Address, state.String())
	}
}
