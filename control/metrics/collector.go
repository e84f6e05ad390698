package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"lbctl/control/engine"
	"lbctl/rss/ethtool"
)

// collector tells of the intent, of interfaces and of what was applied, as they are when it is asked.
type collector struct {
	engine *engine.Engine
	queues func(name string) (map[int]uint64, error)
	all    []*prometheus.Desc

	ready, revision                       *prometheus.Desc
	interfaces, unfulfilled, queuePackets *prometheus.Desc
	faults, drifts, mended, steps, took   *prometheus.Desc
}

func newCollector(e *engine.Engine) *collector {
	c := &collector{engine: e, queues: ethtool.QueuePackets}
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("lbctl_"+name, help, labels, nil)
		c.all = append(c.all, d)
		return d
	}
	c.ready = describe("ready", "1 when the datapath forwards as intended.")
	c.revision = describe("intent_revision", "The revision of the intent.")
	c.interfaces = describe("interface_attached", "1 for every attached interface.", "interface", "mode")
	c.unfulfilled = describe("interface_unfulfilled", "1 for every interface that is wanted and not attached as wanted, 0 for one that is.", "interface")
	c.queuePackets = describe("interface_queue_packets_total", "Packets that the driver of an attached interface counted on each receive queue, all of them, balanced or not; of drivers that tell.", "interface", "queue")
	c.faults = describe("datapath_faults", "What is not in the kernel as it was put there, and is not mended yet.")
	c.drifts = describe("datapath_drift_total", "What others had changed of the datapath in the kernel, as it was found.")
	c.mended = describe("datapath_mended_total", "What others had changed of the datapath in the kernel, and was mended.")
	c.steps = describe("datapath_steps_total", "Changes of the datapath by the daemon: set and remove make another table of a service, attach and detach change a link.", "verb")
	c.took = describe("apply_duration_seconds", "How long it took to bring the datapath to an intent and to store that, by result: done, or refused and taken back.", "result")
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
	to <- gauge(c.revision, float64(c.engine.Now().Number))
	to <- gauge(c.ready, oneIf(c.engine.NotReady() == ""))
	c.collectApplied(to)
	c.collectInterfaces(to)
}

func (c *collector) collectApplied(to chan<- prometheus.Metric) {
	applied := c.engine.Applied()
	for verb, n := range applied.Steps {
		to <- counter(c.steps, n, string(verb))
	}
	for result, d := range map[string]engine.Durations{"done": applied.Done, "refused": applied.Refused} {
		buckets := map[float64]uint64{}
		for n, bound := range engine.AppliedBounds {
			buckets[bound] = d.Within[n]
		}
		to <- prometheus.MustNewConstHistogram(c.took, d.Count, d.Sum.Seconds(), buckets, result)
	}
}

func (c *collector) collectInterfaces(to chan<- prometheus.Metric) {
	status, err := c.engine.Status()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.interfaces, err)
		return
	}
	to <- gauge(c.faults, float64(len(status.Condition.Faults)))
	to <- counter(c.drifts, status.Condition.Drifts)
	to <- counter(c.mended, status.Condition.Mended)
	for _, i := range status.Interfaces {
		if i.Attached.Mode != "" {
			to <- gauge(c.interfaces, 1, i.Name, i.Attached.Mode.String())
			c.collectQueues(to, i.Name)
		}
		if i.Wanted != "" {
			to <- gauge(c.unfulfilled, oneIf(i.Reason != ""), i.Name)
		}
	}
}

// collectQueues tells the packets of each receive queue. Many drivers do not count them, and that is no error.
func (c *collector) collectQueues(to chan<- prometheus.Metric, name string) {
	queues, _ := c.queues(name)
	for queue, n := range queues {
		to <- counter(c.queuePackets, n, name, strconv.Itoa(queue))
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
