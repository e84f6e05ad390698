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
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lbctl/control/access"
	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/metrics"
	"lbctl/control/rest/conditions"
	"lbctl/lb"
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
	// Collectors are what else is on /metrics.
	Collectors []prometheus.Collector
	// Warnings returns why packets are lost without an error; nil: nothing is known of that.
	Warnings func() []api.Warning
	// Verify, unless nil, compares what else of the kernel has to be as it was made.
	Verify func(repair bool) lb.Verification
	// Policy says who has which role on the socket, and by which certificate; nil: root, this user and the members of its group are
	// operators.
	Policy *access.Policy
	// Credentials are what clients over TCP are known by; nil: none are.
	Credentials *access.Credentials
	// Audit takes the changes, and what was refused; nil writes it to Logger.
	Audit *access.Audit
	// Patience is how long a client may take to read some of what was sent to it; 0 is 30 seconds.
	Patience time.Duration
}

// Server answers the API. It is safe for concurrent use. The zero value is not usable: see New.
type Server struct {
	engine  *engine.Engine
	handler http.Handler
	// routeOf returns the route that answers a request.
	routeOf func(*http.Request) string
	log     *slog.Logger
	// warnings, patience and labels are those of Options.
	warnings   func() []api.Warning
	patience   time.Duration
	labels     metrics.Labels
	more       []prometheus.Collector
	verifyMore func(repair bool) lb.Verification
	// ending is closed when streams are to end.
	ending chan struct{}
	// policy, credentials and audit are those of Options.
	policy      *access.Policy
	credentials *access.Credentials
	audit       *access.Audit
	conditions  *conditions.Memory
	places      atomic.Pointer[places]
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
	if o.Policy == nil {
		o.Policy = &access.Policy{Owner: uint32(os.Geteuid()), SocketGroup: uint32(os.Getegid())}
	}
	if o.Audit == nil {
		o.Audit = access.NewAudit(o.Logger, time.Now)
	}
	s := &Server{engine: o.Engine, warnings: o.Warnings, log: o.Logger, patience: o.Patience, labels: *o.Labels, more: o.Collectors, verifyMore: o.Verify, ending: make(chan struct{}),
		policy: o.Policy, credentials: o.Credentials, audit: o.Audit, conditions: conditions.NewMemory(o.Engine)}
	s.handler = s.routes(o.Version)
	return s
}

// ServeMetrics answers /metrics, /healthz and /readyz on l, and nothing else, to everybody who gets there, until ctx ends. It closes l.
func (s *Server) ServeMetrics(ctx context.Context, l net.Listener) {
	const patience = 10 * time.Second
	mux := http.NewServeMux()
	for _, path := range []string{"/metrics", "/healthz", readyPath} {
		mux.Handle("GET "+path, s.handler)
	}
	web := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: patience, WriteTimeout: 3 * patience, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(access.Seldom(s.log.Handler()), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	if err := web.Serve(limitPeers(l, s.policy, patience)); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("the listener for metrics has ended", "error", err)
	}
}

// shutdownGrace is how long Serve waits for requests under way.
const shutdownGrace = 5 * time.Second

// Serve answers on the listeners until ctx ends; then it ends the streams, finishes the requests under way and
// returns nil. It closes the listeners. Those for TCP speak TLS with the server's credentials. It is called once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	web := &http.Server{
		Handler:           s.guard(s.handler),
		ReadHeaderTimeout: 5 * time.Second, // that of the TLS handshake, too
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(access.Seldom(s.log.Handler()), slog.LevelWarn),
	}
	web.RegisterOnShutdown(func() { close(s.ending) })
	var looking sync.WaitGroup
	defer looking.Wait()
	ctx, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	looking.Go(func() { s.conditions.Run(ctx) })
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		limited := limitPeers(l, s.policy, s.patience)
		l = limited
		if limited.silent = limited.Addr().Network() == "tcp"; limited.silent {
			l = tls.NewListener(limited, s.credentials.TLS())
		}
		go func() { ended <- web.Serve(l) }()
	}
	running := len(listeners)
	var failed error
	select {
	case failed = <-ended:
		running--
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := web.Shutdown(grace); err != nil {
		web.Close()
	}
	for range running {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
