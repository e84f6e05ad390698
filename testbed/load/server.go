package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"lbctl/rss/packet"
	"lbctl/testbed/helper"
	"lbctl/testbed/replica"
)

// Server is the servers as a helper process: one for each work, on all addresses of the namespace, until
// SIGTERM. It prints helper.Ready when all accept.
func Server() helper.Helper[[]Work] {
	return helper.Helper[[]Work]{Name: "load-server", Run: func(ctx context.Context, works []Work, _ io.Reader, stdout io.Writer) error {
		return serve(ctx, works, stdout)
	}}
}

// serve runs one server for each work. When one fails, all end.
func serve(ctx context.Context, works []Work, stdout io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready := &gathered{out: stdout, left: len(works)}
	var all sync.WaitGroup
	for _, w := range works {
		all.Go(func() {
			if err := w.serve(ctx, ready); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (w Work) serve(ctx context.Context, ready io.Writer) error {
	if err := w.validate(); err != nil {
		return err
	}
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), w.Port)
	if w.Protocol == packet.UDP {
		return echo(ctx, at, ready)
	}
	return replica.Run(ctx, replica.Config{Listen: at, Site: w.site()}, ready)
}

// echo sends datagrams back until the context ends.
func echo(ctx context.Context, at netip.AddrPort, ready io.Writer) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("start echo: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := fmt.Fprintln(ready, helper.Ready); err != nil {
		return err
	}
	for buffer := make([]byte, maxDatagram); ; {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if ctx.Err() != nil {
			return conn.Close()
		}
		if err == nil {
			_, err = conn.WriteToUDPAddrPort(buffer[:n], from)
		}
		if err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			return errors.Join(fmt.Errorf("echo: %w", err), conn.Close())
		}
	}
}

// gathered passes on the last of several lines that say helper.Ready. Safe for concurrent use.
type gathered struct {
	mu   sync.Mutex
	out  io.Writer
	left int
}

// Write implements io.Writer; each call is a line.
func (g *gathered) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left--; g.left > 0 {
		return len(b), nil
	}
	return g.out.Write(b)
}
