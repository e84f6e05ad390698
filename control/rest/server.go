// Package rest answers the control API over HTTP on a unix socket: routes, streams, metrics and problem
// details over an engine. What is asked for is turned into wire types here; what is to be forwarded is
// decided in engine.
//
// The walk of an observation from counter to page: BPF programs count packets per CPU by reason, service and
// replica; lb.Dataplane.Counters sums them; wireCounters gives them the names of the intent; GET
// /v1/counters answers that, and GET /metrics writes the same sums as Prometheus reads them whenever it is
// scraped. Nothing is counted twice, and nothing while nobody asks.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/metrics"
)

// Options are what a server is made of.
type Options struct {
	Engine *engine.Engine
	// Logger takes what happens; nil discards it.
	Logger *slog.Logger
	// Version is what the API calls its version.
	Version string
	// Labels are those of the series of services and replicas on /metrics; nil stands for metrics.DefaultLabels.
	Labels *metrics.Labels
	// Warnings returns why packets are lost without an error; nil: nothing is known of that.
	Warnings func() []api.Warning
	// Patience is how long a client may take to read some of what was sent to it; 0 is 30 seconds.
	Patience time.Duration
}

// Server answers the API. It is safe for concurrent use. The zero value is not usable: see New.
type Server struct {
	engine  *engine.Engine
	handler http.Handler
	log     *slog.Logger
	// warnings, patience and labels are those of Options.
	warnings func() []api.Warning
	patience time.Duration
	labels   metrics.Labels
	// ending is closed when streams are to end.
	ending chan struct{}
}

// New returns a server that is ready to answer.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Labels == nil {
		labels := metrics.DefaultLabels()
		o.Labels = &labels
	}
	if o.Warnings == nil {
		o.Warnings = func() []api.Warning { return nil }
	}
	s := &Server{engine: o.Engine, warnings: o.Warnings, log: o.Logger, patience: o.Patience, labels: *o.Labels, ending: make(chan struct{})}
	s.handler = s.routes(o.Version)
	return s
}

// shutdownGrace is how long Serve waits for requests under way.
const shutdownGrace = 5 * time.Second

// Serve answers on l until ctx ends; then it ends the streams, finishes the requests under way and
// returns nil. It closes l. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	web := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	web.RegisterOnShutdown(func() { close(s.ending) })
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(limitPeers(l, s.patience)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := web.Shutdown(grace); err != nil {
		web.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
