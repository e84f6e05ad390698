package rest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/control/access"
)

// How many connections there are at a time, and how many of them one origin may have: a client that opens connections and
// leaves them does not keep others out. Origins are an operator's process, a viewer's user, all who have no role, and over TCP an
// address (of IPv6, 64 bits of it), from before the TLS handshake on.
const (
	maxConnections = 512
	maxOfOrigin    = 64
)

// peers is a listener that limits the connections of each origin.
type peers struct {
	net.Listener
	policy *access.Policy
	// patience is how long a client may take to read some of what was sent.
	patience time.Duration
	// silent is for what speaks TLS: a text before the handshake would be no answer to a client.
	silent bool
	mu     sync.Mutex
	all    int
	of     map[string]int
}

func limitPeers(l net.Listener, policy *access.Policy, patience time.Duration) *peers {
	return &peers{Listener: l, policy: policy, patience: patience, of: map[string]int{}}
}

// Accept implements net.Listener. Connections that are too many are answered with 503, or closed where TLS is spoken.
func (p *peers) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who, origin := p.identify(c)
		if p.enter(origin) {
			return &peer{Conn: c, who: who, patience: p.patience, leave: sync.OnceFunc(func() { p.leave(origin) })}, nil
		}
		if !p.silent {
			refuse(c)
		}
		_ = c.Close()
	}
}

// identify returns who has connected, as far as the connection tells, and the origin that it counts for.
func (p *peers) identify(c net.Conn) (who access.Identity, origin string) {
	if a, is := c.RemoteAddr().(*net.TCPAddr); is {
		bits := 32
		address := a.AddrPort().Addr().Unmap()
		if address.Is6() {
			bits = 64
		}
		prefix, _ := address.Prefix(bits) // of any address there is one
		return access.Identity{From: a.String()}, prefix.String()
	}
	of, err := access.PeerOf(c)
	if err != nil {
		return who, "none"
	}
	switch who = p.policy.Peer(of); who.Role {
	case access.Operator:
		return who, fmt.Sprintf("pid %d", of.PID)
	case access.Viewer:
		return who, fmt.Sprintf("uid %d", of.UID)
	}
	return who, "none"
}

func (p *peers) enter(origin string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == maxConnections || p.of[origin] == maxOfOrigin {
		return false
	}
	p.all++
	p.of[origin]++
	return true
}

func (p *peers) leave(origin string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.of[origin]--; p.of[origin] == 0 {
		delete(p.of, origin)
	}
}

// control calls do with the descriptor of a connection, if it has one.
func control(c net.Conn, do func(fd int)) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := s.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // a connection that is closed has no descriptor any more
	}
}

// refuse answers a connection without reading from it. It does not wait: the text fits into an empty socket buffer.
func refuse(c net.Conn) {
	const body = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"too many connections","hint":"close some, or try again"}`
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/problem+json\r\n\r\n" + body))
}

// peer is a connection whose other end must read: each piece that is written has a deadline.
type peer struct {
	net.Conn
	// who has connected; over TCP only the address is known yet.
	who      access.Identity
	patience time.Duration
	leave    func()
}

// piece is what is written at a time, in bytes.
const piece = 64 << 10

// Write implements net.Conn.
func (p *peer) Write(b []byte) (n int, err error) {
	for {
		if err := p.SetWriteDeadline(time.Now().Add(p.patience)); err != nil {
			return n, err
		}
		m, err := p.Conn.Write(b[n:min(n+piece, len(b))])
		if n += m; err != nil || n == len(b) {
			return n, err
		}
	}
}

// Close implements net.Conn.
func (p *peer) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// unread returns how many bytes of memory hold what the other end has not read yet.
func (p *peer) unread() (n int) {
	control(p.Conn, func(fd int) {
		if queued, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ); err == nil {
			n = queued
		}
	})
	return n
}

type peerKey struct{}

// withPeer makes the connection of a request known to its handler.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, c)
}

// peerOf returns the connection of a request, nil if it is not known.
func peerOf(ctx context.Context) *peer {
	c := ctx.Value(peerKey{})
	if secured, is := c.(*tls.Conn); is {
		c = secured.NetConn()
	}
	p, _ := c.(*peer)
	return p
}

// readerWatch tells whether the client of a stream reads, from what is queued for it.
type readerWatch struct {
	of           *peer
	sent, unread int
	// silent is how many times in a row it had read nothing.
	silent int
}

// reads is called at equal intervals with the number of bytes that were sent. It is false when during two intervals
// nothing was read of what was queued: then at least as much memory is queued as was sent, and what was queued before.
func (w *readerWatch) reads(sent int) bool {
	if w.of == nil {
		return true
	}
	unread := w.of.unread()
	if w.unread > 0 && unread >= w.unread+sent-w.sent {
		w.silent++
	} else {
		w.silent = 0
	}
	w.sent, w.unread = sent, unread
	return w.silent < 2
}
