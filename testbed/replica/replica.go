// Package replica is a server behind the VIP: a real HTTP server of the standard
// library that serves the objects of a Site and logs which connection asked for which.
package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/rss/packet"
	"lbctl/testbed/replica/echo"
)

// Header is the field of an answer in which a replica says its Index.
const Header = "X-Replica"

// Ready is the line that a replica prints when it accepts connections.
const Ready = "ready"

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

// process is what a replica process is told: to serve a Site, or, with Echo, to echo.
type process struct {
	Config
	Echo *echo.Config
}

// Main runs a replica that is configured by JSON, a Config or {"Echo": an echo.Config}, until
// the context ends or the process gets SIGTERM or SIGINT. It prints Ready on stdout.
func Main(ctx context.Context, config string, _ io.Reader, stdout io.Writer) error {
	var p process
	if err := json.Unmarshal([]byte(config), &p); err != nil {
		return fmt.Errorf("read replica configuration: %w", err)
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	if p.Echo == nil {
		return Run(ctx, p.Config, stdout)
	}
	return echo.Run(ctx, *p.Echo, func() error {
		_, err := fmt.Fprintln(stdout, Ready)
		return err
	})
}

// Run serves until the context ends, which is no error. The log is complete when it returns.
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
	_, printErr := fmt.Fprintln(stdout, Ready)
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
