// Package rest is the daemon: it keeps a datapath as the operator intends, and
// answers the control API over HTTP on a unix socket.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/lb"
)

// Options are what a server is made of.
type Options struct {
	// Dataplane forwards. The server does not close it.
	Dataplane lb.Dataplane
	// Store keeps the intent. The server does not close it.
	Store store.Store
	// Logger takes what happens; nil discards it.
	Logger *slog.Logger
	// Clock tells the time, the machine's when nil.
	Clock Clock
	// Version is what the API calls its version.
	Version string
}

// Server keeps a datapath as intended and answers the API. It is safe for
// concurrent use. The zero value is not usable: see Start.
type Server struct {
	keeper  *keeper
	handler http.Handler
	log     *slog.Logger
	// ending is closed when streams are to end.
	ending chan struct{}
}

// Start brings the datapath to the intent, which it stores if it differs from what is
// stored, and returns a server that is ready to answer. With an error the datapath
// and the store are as they were. Errors: *reconcile.StepError when the datapath
// refuses, and those of the store.
func Start(ctx context.Context, o Options, intent intent.Intent) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	k := &keeper{dp: o.Dataplane, store: o.Store, log: o.Logger, clock: o.Clock, changed: make(chan struct{}, 1)}
	stored, err := o.Store.Latest(ctx)
	if err != nil {
		return nil, err
	}
	k.now.Store(&stored)
	now := intent.At(o.Clock.Now())
	if _, err := k.install(ctx, now); err != nil {
		return nil, err
	}
	k.sayDown(intent, now)
	k.sayTaken(stored.Intent, now)
	s := &Server{keeper: k, log: o.Logger, ending: make(chan struct{})}
	s.handler = s.routes(o.Version)
	return s, nil
}

// shutdownGrace is how long Serve waits for requests under way.
const shutdownGrace = 5 * time.Second

// Serve answers on l, and meets the deadlines of draining replicas, until ctx ends; then it ends the
// streams, finishes the requests under way and returns nil. It closes l. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	web := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	web.RegisterOnShutdown(func() { close(s.ending) })
	watching, unwatch := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { s.keeper.watchDeadlines(watching) })
	defer watcher.Wait()
	defer unwatch()
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
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
