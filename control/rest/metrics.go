package rest

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/lb"
)

// metrics returns the page that Prometheus reads.
func metrics(e *engine.Engine) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(e), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads the datapath's counters when it is asked: nothing is counted twice.
type collector struct {
	engine                                 *engine.Engine
	packets, bytes                         *prometheus.Desc
	servicePackets, serviceBytes           *prometheus.Desc
	replicaPackets, replicaBytes           *prometheus.Desc
	replicaWeight, interfaces, unfulfilled *prometheus.Desc
	revision, asIntend                     *prometheus.Desc
	faults, mended                         *prometheus.Desc
	flows                                  flowDescs
	all                                    []*prometheus.Desc
}

func newCollector(e *engine.Engine) *collector {
	var all []*prometheus.Desc
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("lbctl_"+name, help, labels, nil)
		all = append(all, d)
		return d
	}
	service := []string{"service", "vip", "protocol"}
	replica := []string{"service", "vip", "protocol", "replica"}
	c := &collector{
		engine:         e,
		packets:        describe("packets_total", "Packets seen, by the reason of their verdict.", "reason"),
		bytes:          describe("bytes_total", "Bytes seen, Ethernet header included, by the reason of their verdict.", "reason"),
		servicePackets: describe("service_packets_total", "Packets forwarded, by service.", service...),
		serviceBytes:   describe("service_bytes_total", "Bytes forwarded, by service.", service...),
		replicaPackets: describe("replica_packets_total", "Packets forwarded, by replica.", replica...),
		replicaBytes:   describe("replica_bytes_total", "Bytes forwarded, by replica.", replica...),
		flows:          describeFlows(describe),
		replicaWeight:  describe("replica_weight", "The weight of a replica.", replica...),
		interfaces:     describe("interface_attached", "1 for every attached interface.", "interface", "mode"),
		unfulfilled:    describe("interface_unfulfilled", "1 for every interface that is wanted and not attached as wanted, 0 for one that is.", "interface"),
		revision:       describe("intent_revision", "The revision of the intent."),
		faults:         describe("datapath_faults", "What is not in the kernel as it was put there, and is not mended yet."),
		mended:         describe("datapath_mended_total", "What others had changed of the datapath in the kernel, and was mended."),
		asIntend:       describe("ready", "1 when the datapath forwards as intended."),
	}
	c.all = all
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.all {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	now := c.engine.Now()
	to <- gauge(c.revision, float64(now.Number))
	to <- gauge(c.asIntend, oneIf(c.engine.NotReady() == ""))
	for _, s := range now.Intent.Services {
		for _, r := range s.Replicas {
			to <- gauge(c.replicaWeight, float64(r.Weight), s.Name, s.VIP.Address.String(), s.VIP.Protocol.String(), r.Address.String())
		}
	}
	c.collectInterfaces(to)
	c.flows.collect(to, c.engine.Observe(), now.Effective)
	counters, err := c.engine.Observe().Counters()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.packets, err)
		return
	}
	wire := wireCounters(now.Intent, counters)
	for _, n := range wire.Reasons {
		to <- counter(c.packets, n.Packets, n.Reason)
		to <- counter(c.bytes, n.Bytes, n.Reason)
	}
	for _, n := range wire.Services {
		to <- counter(c.servicePackets, n.Packets, n.Name, n.VIP, n.Protocol)
		to <- counter(c.serviceBytes, n.Bytes, n.Name, n.VIP, n.Protocol)
	}
	for _, n := range wire.Replicas {
		to <- counter(c.replicaPackets, n.Packets, n.ServiceName, n.VIP, n.Protocol, n.Replica)
		to <- counter(c.replicaBytes, n.Bytes, n.ServiceName, n.VIP, n.Protocol, n.Replica)
	}
}

func (c *collector) collectInterfaces(to chan<- prometheus.Metric) {
	status, err := c.engine.Status()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.interfaces, err)
		return
	}
	to <- gauge(c.faults, float64(len(status.Condition.Faults)))
	to <- counter(c.mended, status.Condition.Mended)
	for _, i := range status.Interfaces {
		if i.Attached.Mode != "" {
			to <- gauge(c.interfaces, 1, i.Name, i.Attached.Mode.String())
		}
		if i.Wanted != "" {
			to <- gauge(c.unfulfilled, oneIf(i.Reason != ""), i.Name)
		}
	}
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(d *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// flowDescs describe what is recorded of flows.
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

func (d flowDescs) collect(to chan<- prometheus.Metric, dp engine.Observer, i intent.Intent) {
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
