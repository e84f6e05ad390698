package rest

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics returns the page that Prometheus reads.
func metrics(k *keeper) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(k), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads the datapath's counters when it is asked: nothing is counted twice.
type collector struct {
	keeper                                        *keeper
	packets, bytes                                *prometheus.Desc
	servicePackets, serviceBytes                  *prometheus.Desc
	replicaPackets, replicaBytes                  *prometheus.Desc
	replicaWeight, interfaces, revision, asIntend *prometheus.Desc
	flows                                         flowDescs
	all                                           []*prometheus.Desc
}

func newCollector(k *keeper) *collector {
	var all []*prometheus.Desc
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("lbctl_"+name, help, labels, nil)
		all = append(all, d)
		return d
	}
	service := []string{"service", "vip", "protocol"}
	replica := []string{"service", "vip", "protocol", "replica"}
	c := &collector{
		keeper:         k,
		packets:        describe("packets_total", "Packets seen, by the reason of their verdict.", "reason"),
		bytes:          describe("bytes_total", "Bytes seen, Ethernet header included, by the reason of their verdict.", "reason"),
		servicePackets: describe("service_packets_total", "Packets forwarded, by service.", service...),
		serviceBytes:   describe("service_bytes_total", "Bytes forwarded, by service.", service...),
		replicaPackets: describe("replica_packets_total", "Packets forwarded, by replica.", replica...),
		replicaBytes:   describe("replica_bytes_total", "Bytes forwarded, by replica.", replica...),
		flows:          describeFlows(describe),
		replicaWeight:  describe("replica_weight", "The weight of a replica.", replica...),
		interfaces:     describe("interface_attached", "1 for every attached interface.", "interface", "mode"),
		revision:       describe("intent_revision", "The revision of the intent."),
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
	intent := c.keeper.now.Load()
	to <- gauge(c.revision, float64(intent.Number))
	to <- gauge(c.asIntend, oneIf(c.keeper.ready() == nil))
	for _, s := range intent.Intent.Services {
		for _, r := range s.Replicas {
			to <- gauge(c.replicaWeight, float64(r.Weight), s.Name, s.VIP.Address.String(), s.VIP.Protocol.String(), r.Address.String())
		}
	}
	c.collectInterfaces(to)
	c.flows.collect(to, c.keeper.dp, intent.Intent)
	counters, err := c.keeper.dp.Counters()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.packets, err)
		return
	}
	wire := wireCounters(intent.Intent, counters)
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
	attached, err := c.keeper.dp.Interfaces()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.interfaces, err)
		return
	}
	for _, i := range attached {
		to <- gauge(c.interfaces, 1, i.Name, i.Mode.String())
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
