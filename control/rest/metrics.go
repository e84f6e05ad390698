package rest

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lbctl/control/engine"
)

// metrics returns the page that Prometheus reads.
func metrics(e *engine.Engine, labels Labels) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(e), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	small := promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
	return &metricsPage{engine: e, small: small, labels: labels, scrapes: make(chan struct{}, maxScrapes)}
}

// collector tells of the intent and of interfaces, as they are when it is asked.
type collector struct {
	engine                  *engine.Engine
	interfaces, unfulfilled *prometheus.Desc
	revision, asIntend      *prometheus.Desc
	faults, mended          *prometheus.Desc
	all                     []*prometheus.Desc
}

func newCollector(e *engine.Engine) *collector {
	var all []*prometheus.Desc
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("lbctl_"+name, help, labels, nil)
		all = append(all, d)
		return d
	}
	c := &collector{
		engine:      e,
		interfaces:  describe("interface_attached", "1 for every attached interface.", "interface", "mode"),
		unfulfilled: describe("interface_unfulfilled", "1 for every interface that is wanted and not attached as wanted, 0 for one that is.", "interface"),
		revision:    describe("intent_revision", "The revision of the intent."),
		faults:      describe("datapath_faults", "What is not in the kernel as it was put there, and is not mended yet."),
		mended:      describe("datapath_mended_total", "What others had changed of the datapath in the kernel, and was mended."),
		asIntend:    describe("ready", "1 when the datapath forwards as intended."),
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
	c.collectInterfaces(to)
}

func (c *collector) collectInterfaces(to chan<- prometheus.Metric) {
	status, err := c.engine.Status()
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.interfaces, err)
		return
	}
	to <- gauge(c.faults, float64(len(status.Condition.Faults)))
	to <- prometheus.MustNewConstMetric(c.mended, prometheus.CounterValue, float64(status.Condition.Mended))
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

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
