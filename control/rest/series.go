package rest

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/lb"
)

// Labels are the labels that the series of services and replicas have. Without service there are none of either,
// without replica none of replicas.
type Labels struct{ Service, VIP, Protocol, Replica bool }

// DefaultLabels name a series; lbctl_service_info gives a service's VIP and protocol once.
func DefaultLabels() Labels { return Labels{Service: true, Replica: true} }

// Set reads a list: "service,replica", "" for none. With String and Type it is a flag. The error wraps lb.ErrInvalid.
func (l *Labels) Set(text string) error {
	var set Labels
	for name := range strings.SplitSeq(text, ",") {
		if text == "" {
			break
		}
		at := slices.Index(labelNames, name)
		if at < 0 || *set.all()[at] {
			return fmt.Errorf("label %q: %w: want %s, each once, separated by commas", name, lb.ErrInvalid, strings.Join(labelNames, ", "))
		}
		*set.all()[at] = true
	}
	if text != "" && !set.Service {
		return fmt.Errorf("%w: want service among them, or none", lb.ErrInvalid)
	}
	*l = set
	return nil
}

// labelNames are the names of Labels.all.
var labelNames = []string{"service", "vip", "protocol", "replica"}

func (l *Labels) all() []*bool { return []*bool{&l.Service, &l.VIP, &l.Protocol, &l.Replica} }

// String returns the list.
func (l *Labels) String() string {
	var names []string
	for n, has := range l.all() {
		if *has {
			names = append(names, labelNames[n])
		}
	}
	return strings.Join(names, ",")
}

// Type is what the help of a flag calls it.
func (l *Labels) Type() string { return "labels" }

// maxScrapes is how many clients may read the page at a time, scrapeTime how long each may take.
const (
	maxScrapes = 2
	scrapeTime = time.Minute
)

// metricsPage is the page that Prometheus reads: what is small by its library, the series of services and replicas, of which
// there may be a million, as text that is written as it is made.
type metricsPage struct {
	engine  *engine.Engine
	small   http.Handler
	labels  Labels
	scrapes chan struct{}
}

// ServeHTTP implements http.Handler. The parameter labels replaces the labels.
func (m *metricsPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	labels, err := m.labelsOf(r)
	if err != nil {
		write(w, &api.Problem{Status: http.StatusUnprocessableEntity, Detail: err.Error(), Hint: "as in /metrics?labels=service,replica"})
		return
	}
	select {
	case m.scrapes <- struct{}{}:
		defer func() { <-m.scrapes }()
	default:
		write(w, &api.Problem{Status: http.StatusServiceUnavailable, Detail: fmt.Sprintf("%d scrapes are under way", maxScrapes), Hint: "try again"})
		return
	}
	s, err := newSeries(m.engine, labels)
	if err != nil {
		write(w, problem(err))
		return
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
}

func (m *metricsPage) labelsOf(r *http.Request) (Labels, error) {
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

// series writes the counters of packets, and the series of services and replicas, in the text format of Prometheus.
type series struct {
	labels   Labels
	intent   intent.Intent
	counters lb.Counters
	flows    map[lb.VIP]lb.Flows
	out      *bufio.Writer
	line     []byte
}

// newSeries reads the counters. Errors: the datapath's.
func newSeries(e *engine.Engine, l Labels) (*series, error) {
	s := &series{labels: l, intent: e.Now().Effective}
	var err error
	if s.counters, err = e.Observe().Counters(); err != nil || !l.Service {
		return s, err
	}
	s.flows, err = e.Observe().Flows()
	return s, err
}

func (s *series) write(w io.Writer) {
	s.out = bufio.NewWriterSize(w, 1<<16)
	s.reasons()
	s.losses()
	if s.labels.Service {
		s.services()
	}
	if s.labels.Replica {
		s.replicas()
	}
	_ = s.out.Flush() // the client is gone, or too slow; there is nobody else to tell
}

func (s *series) reasons() {
	each := func(name, help string, value func(lb.Count) uint64) {
		s.family(name, "counter", help)
		for _, reason := range slices.Sorted(maps.Keys(s.counters.Reasons)) {
			s.open(name)
			s.label("reason", string(reason))
			s.end(value(s.counters.Reasons[reason]))
		}
	}
	each("packets_total", "Packets seen, by the reason of their verdict.", func(n lb.Count) uint64 { return n.Packets })
	each("bytes_total", "Bytes seen, Ethernet header included, by the reason of their verdict.", func(n lb.Count) uint64 { return n.Bytes })
}

func (s *series) losses() {
	if s.counters.LossesUnknown != "" {
		return
	}
	const name = "lost_packets_total"
	s.family(name, "counter", "Packets lost after their verdict, by the interface that they should have left by and by cause: redirect (it does not take them), transmit, tx (its driver does not send them).")
	for _, l := range s.counters.Losses {
		s.open(name)
		s.label("interface", l.Interface)
		s.label("cause", string(l.Cause))
		s.end(l.Packets)
	}
}

func (s *series) services() {
	s.family("service_info", "gauge", "1; the VIP and protocol of a service.")
	for _, v := range s.intent.Services {
		s.begin("service_info", v.VIP, v.Name, Labels{Service: true, VIP: true, Protocol: true}, netip.AddrPort{})
		s.end(1)
	}
	each := func(name, kind, help string, value func(intent.Service) uint64) {
		s.family(name, kind, help)
		for _, v := range s.intent.Services {
			s.begin(name, v.VIP, v.Name, s.labels, netip.AddrPort{})
			s.end(value(v))
		}
	}
	each("service_packets_total", "counter", "Packets forwarded, by service.", func(v intent.Service) uint64 { return s.counters.Services[v.VIP].Packets })
	each("service_bytes_total", "counter", "Bytes forwarded, by service.", func(v intent.Service) uint64 { return s.counters.Services[v.VIP].Bytes })
	each("service_slots_in_transition", "gauge", "Slots whose owner changed and whose flows from before may still be with the previous owner.",
		func(v intent.Service) uint64 { return uint64(s.flows[v.VIP].InTransition) })
	s.family("service_replicas", "gauge", "Replicas of a service, by state: active, draining or down.")
	for _, v := range s.intent.Services {
		for _, state := range []lb.ReplicaState{lb.Active, lb.Draining, lb.Down} {
			n := 0
			for _, r := range v.Replicas {
				if r.State == state {
					n++
				}
			}
			s.begin("service_replicas", v.VIP, v.Name, s.labels, netip.AddrPort{})
			s.label("state", state.String())
			s.end(uint64(n))
		}
	}
}

// replicas writes what is said of every replica, and then what is said only of those of which it is not the usual.
func (s *series) replicas() {
	s.each("replica_packets_total", "counter", "Packets forwarded, by replica.", "", func(v intent.Service, r lb.Replica) (uint64, bool) {
		return s.counters.Replicas[v.VIP][r.Address].Packets, true
	})
	s.each("replica_bytes_total", "counter", "Bytes forwarded, by replica.", "", func(v intent.Service, r lb.Replica) (uint64, bool) {
		return s.counters.Replicas[v.VIP][r.Address].Bytes, true
	})
	s.each("replica_weight", "gauge", "The weight of a replica; of those that have another than 1.", "", func(_ intent.Service, r lb.Replica) (uint64, bool) {
		return uint64(r.Weight), r.Weight != 1
	})
	const flows = "Recorded flows, by replica: established, or half_open: only the first packet has come; of replicas that have any."
	s.each("replica_flows", "gauge", flows, "established", func(v intent.Service, r lb.Replica) (uint64, bool) {
		n := s.flows[v.VIP].Replicas[r.Address].Established
		return n, n > 0
	})
	s.each("replica_flows", "", "", "half_open", func(v intent.Service, r lb.Replica) (uint64, bool) {
		n := s.flows[v.VIP].Replicas[r.Address].HalfOpen
		return n, n > 0
	})
	s.each("replica_old_flow_slots", "gauge", "Slots in transition whose old flows go to the replica; of replicas that have any.", "",
		func(v intent.Service, r lb.Replica) (uint64, bool) {
			n := s.flows[v.VIP].Replicas[r.Address].OldFlowSlots
			return uint64(n), n > 0
		})
	s.each("replica_state", "gauge", "1 for the state of a replica that is draining or down; all others are active.", "draining",
		func(_ intent.Service, r lb.Replica) (uint64, bool) { return 1, r.State == lb.Draining })
	s.each("replica_state", "", "", "down", func(_ intent.Service, r lb.Replica) (uint64, bool) { return 1, r.State == lb.Down })
	s.each("replica_safe_to_remove", "gauge", "1 when, as far as is known, a replica has no flow left; of those that are draining or down.", "",
		func(v intent.Service, r lb.Replica) (uint64, bool) {
			f, known := s.flows[v.VIP].Replicas[r.Address]
			if known && f.None() {
				return 1, r.State != lb.Active
			}
			return 0, r.State != lb.Active
		})
	s.each("replica_drain_deadline_seconds", "gauge", "When a draining replica is set down, in seconds since 1970; of those that have a deadline.", "",
		func(v intent.Service, r lb.Replica) (uint64, bool) {
			deadline, has := v.Deadlines[r.Address]
			return uint64(deadline.Unix()), has
		})
}

// each writes a family: a line for every replica of which value says so. A family of several states has one call for each; the
// first describes it.
func (s *series) each(name, kind, help, state string, value func(intent.Service, lb.Replica) (uint64, bool)) {
	if kind != "" {
		s.family(name, kind, help)
	}
	for _, v := range s.intent.Services {
		for _, r := range v.Replicas {
			if n, told := value(v, r); told {
				s.begin(name, v.VIP, v.Name, s.labels, r.Address)
				if state != "" {
					s.label("state", state)
				}
				s.end(n)
			}
		}
	}
}

func (s *series) family(name, kind, help string) {
	fmt.Fprintf(s.out, "# HELP lbctl_%s %s\n# TYPE lbctl_%s %s\n", name, help, name, kind)
}

// open begins a line, before its labels.
func (s *series) open(name string) {
	s.line = append(append(append(s.line[:0], "lbctl_"...), name...), '{')
}

// begin begins a line, up to its labels. No value of theirs needs an escape.
func (s *series) begin(name string, vip lb.VIP, service string, l Labels, replica netip.AddrPort) {
	s.open(name)
	if l.Protocol {
		s.label("protocol", vip.Protocol.String())
	}
	if replica.IsValid() {
		s.line = append(append(append(s.line, `replica="`...), replica.String()...), `",`...)
	}
	s.label("service", service)
	if l.VIP {
		s.label("vip", vip.Address.String())
	}
}

func (s *series) label(name, value string) {
	s.line = append(append(append(append(s.line, name...), `="`...), value...), `",`...)
}

func (s *series) end(value uint64) {
	s.line[len(s.line)-1] = '}'
	s.line = append(s.line, ' ')
	s.line = append(strconv.AppendUint(s.line, value, 10), '\n')
	_, _ = s.out.Write(s.line) // the buffer keeps its first error
}
