// Package replica is a server behind the VIP: a real HTTP server of the standard
// library that serves the objects of a Site and logs which connection requested which.
package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/helper"
)

// Header is the field of an answer that holds the replica's Index.
const Header = "X-Replica"

// Config says what a replica is.
type Config struct {
	Listen netip.AddrPort
	// Index is what it calls itself, from 0.
	Index int
	Site  Site
	// Log is the path of the access log, a journal of Access; empty: none.
	Log string
	// Wrong are objects that are served with one byte changed: a control for the
	// check that every answer has the right bytes.
	Wrong []int
}

// The longest that a client may take for its request and be silent between two.
const (
	readTimeout = 30 * time.Second
	idleTimeout = 5 * time.Minute
)

// lastAnswers is how long answers that are under way may still take after the end.
const lastAnswers = 5 * time.Second

// Helper is the replica as a helper process: it serves until SIGTERM and prints helper.Ready.
func Helper() helper.Helper[Config] {
	return helper.Helper[Config]{Name: "replica", Run: func(ctx context.Context, c Config, _ io.Reader, stdout io.Writer) error {
		return Run(ctx, c, stdout)
	}}
}

// Run serves until the context ends, which is no error, and prints helper.Ready. The log is complete when it returns.
func Run(ctx context.Context, c Config, stdout io.Writer) error {
	if err := c.Site.Validate(); err != nil {
		return err
	}
	h, err := newHandler(c)
	if err != nil {
		return err
	}
	listening := net.ListenConfig{KeepAlive: -1} // probes would be packets that no request explains
	listening.SetMultipathTCP(false)             // Go's default for listeners
	listener, err := listening.Listen(ctx, "tcp", c.Listen.String())
	if err != nil {
		return errors.Join(fmt.Errorf("start replica %d: %w", c.Index, err), h.close())
	}
	return errors.Join(serve(ctx, listener, h, stdout), h.close())
}

func serve(ctx context.Context, listener net.Listener, h *handler, stdout io.Writer) error {
	server := &http.Server{
		Handler:           h.routes(),
		ReadHeaderTimeout: readTimeout,
		IdleTimeout:       idleTimeout,
		ConnContext:       remember,
		// A client that goes away in mid-answer is an event of the client's log.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, printErr := fmt.Fprintln(stdout, helper.Ready)
	select {
	case err := <-served:
		return errors.Join(printErr, fmt.Errorf("serve: %w", err))
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastAnswers)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		_ = server.Close()
	}
	<-served
	return printErr
}

// flowKey is the key of a connection's packet.Flow in its context.
type flowKey struct{}

// remember keeps a connection's flow, client to replica, for the log.
func remember(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, flowKey{}, packet.Flow{
		Source: addrPort(c.RemoteAddr()), Destination: addrPort(c.LocalAddr()), Protocol: packet.TCP,
	})
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
