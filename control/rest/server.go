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
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"lbctl/control/engine"
	"lbctl/lb"
)

// Options are what a server is made of.
type Options struct {
	Engine *engine.Engine
	// Logger takes what happens; nil discards it.
	Logger *slog.Logger
	// Version is what the API calls its version.
	Version string
	// Labels are those of the series of services and replicas on /metrics; nil stands for DefaultLabels.
	Labels *Labels
	// Patience is how long a client may take to read some of what was sent to it; 0 is 30 seconds.
	Patience time.Duration
}

// Server answers the API. It is safe for concurrent use. The zero value is not usable: see New.
type Server struct {
	engine  *engine.Engine
	handler http.Handler
	log     *slog.Logger
	// patience and labels are those of Options.
	patience time.Duration
	labels   Labels
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
		labels := DefaultLabels()
		o.Labels = &labels
	}
	s := &Server{engine: o.Engine, log: o.Logger, patience: o.Patience, labels: *o.Labels, ending: make(chan struct{})}
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

// maxSocketPath is what fits in sockaddr_un.sun_path with its final zero, less the suffix
// that Listen adds for a moment.
const maxSocketPath = 107 - len(fresh)

const fresh = ".new"

// Listen opens a unix socket at path, mode 0660. It replaces a socket file on which nobody listens any
// more. If somebody listens, or the file is not a socket, the error wraps lb.ErrConflict. Other errors: lb.ErrInvalid for a path that is too long, lb.ErrDenied.
// Closing the listener removes the file.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on %s: %w: a socket's path has at most %d bytes", path, lb.ErrInvalid, maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make socket directory: %w", lb.Denied(err))
	}
	if err := vacant(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := listenFresh(path + fresh)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, lb.Denied(err))
	}
	// The rename puts the socket in place with its permissions set, and replaces the old one in one step.
	if err := os.Rename(path+fresh, path); err != nil {
		l.Close()
		os.Remove(path + fresh)
		return nil, fmt.Errorf("listen on %s: %w", path, lb.Denied(err))
	}
	return &socket{Listener: l, path: path}, nil
}

// vacant returns an error unless path may be taken.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return lb.Denied(err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%w: the file is not a socket", lb.ErrConflict)
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("%w: a daemon is listening already", lb.ErrConflict)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return lb.Denied(err)
}

func listenFresh(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		os.Remove(path)
		return nil, err
	}
	return l, nil
}

// socket removes its file when it is closed.
type socket struct {
	net.Listener
	path string
}

// Close stops listening and removes the file.
func (s *socket) Close() error {
	if err := s.Listener.Close(); err != nil {
		return err
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
