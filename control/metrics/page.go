// Package metrics makes the page that Prometheus reads. Its names and units follow Prometheus' conventions, and no series is of
// one client or flow. DefaultLabels name the others.
package metrics

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/lb"
)

// maxScrapes is how many clients may read the page at a time, scrapeTime how long each may take.
const (
	maxScrapes = 2
	scrapeTime = time.Minute
)

// Page is the page that Prometheus reads: what is small by its library, the series of services and replicas, of which
// there may be a million, as text that is written as it is made. It is safe for concurrent use.
type Page struct {
	engine  *engine.Engine
	small   http.Handler
	labels  Labels
	scrapes chan struct{}
	flows   flows
}

// New returns a page whose series have labels, unless a request names others.
// more is what else is on it.
func New(e *engine.Engine, labels Labels, version string, more ...prometheus.Collector) *Page {
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "lbctl_build_info", Help: "1; what the daemon was built from.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(e), build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(more...)
	small := promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
	return &Page{engine: e, small: small, labels: labels, scrapes: make(chan struct{}, maxScrapes), flows: flows{read: func() (map[lb.VIP]lb.Flows, error) { return e.Observe().Flows() }}}
}

// Serve answers a scrape. The parameter labels replaces the labels. With an error nothing is answered yet: *api.Problem, or
// the datapath's.
func (m *Page) Serve(w http.ResponseWriter, r *http.Request) error {
	labels, err := m.labelsOf(r)
	if err != nil {
		return refusal(http.StatusUnprocessableEntity, err.Error(), "as in /metrics?labels=service,replica")
	}
	select {
	case m.scrapes <- struct{}{}:
		defer func() { <-m.scrapes }()
	default:
		return refusal(http.StatusServiceUnavailable, fmt.Sprintf("%d scrapes are under way", maxScrapes), "try again")
	}
	s, err := m.series(labels)
	if err != nil {
		return err
	}
	plain := r.Clone(r.Context())
	plain.Header.Del("Accept") // the text format, and not another one
	var to io.Writer = &hurried{w, time.Now().Add(scrapeTime)}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		packed, _ := gzip.NewWriterLevel(to, gzip.BestSpeed) // the level is a valid one
		defer packed.Close()
		to = packed
	}
	m.small.ServeHTTP(&redirected{w, to}, plain)
	s.write(to)
	return nil
}

func refusal(status int, detail, hint string) *api.Problem {
	return &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint}
}

// series reads the counters. Errors: the datapath's.
func (m *Page) series(l Labels) (*series, error) {
	now := m.engine.Now()
	s := &series{labels: l, now: now, at: m.engine.Time(), intent: now.Given}
	var err error
	if !l.Service {
		s.counters, err = m.engine.Observe().ReasonCounts()
		return s, err
	}
	if s.counters, err = m.engine.Observe().Counters(); err != nil {
		return s, err
	}
	s.flows, err = m.flows.count()
	return s, err
}

func (m *Page) labelsOf(r *http.Request) (Labels, error) {
	query := r.URL.Query()
	for name, values := range query {
		if name != "labels" || len(values) > 1 {
			return Labels{}, fmt.Errorf("query %s: %w: want labels once", name, lb.ErrInvalid)
		}
	}
	labels := m.labels
	if query.Has("labels") {
		if err := labels.Set(query.Get("labels")); err != nil {
			return labels, fmt.Errorf("query labels: %w", err)
		}
	}
	return labels, nil
}

// redirected is an answer whose body goes elsewhere.
type redirected struct {
	http.ResponseWriter
	to io.Writer
}

func (r *redirected) Write(p []byte) (int, error) { return r.to.Write(p) }

// hurried ends with an error when it takes too long.
type hurried struct {
	io.Writer
	end time.Time
}

func (h *hurried) Write(p []byte) (int, error) {
	if time.Now().After(h.end) {
		return 0, fmt.Errorf("scrape: slower than %v", scrapeTime)
	}
	return h.Writer.Write(p)
}
