package rest

import (
	"context"
	"net"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How many connections there are at a time, and how many of them one process may have: a client that opens connections and
// leaves them does not keep others out.
const (
	maxConnections = 512
	maxOfProcess   = 64
)

// peers is a listener that limits the connections of each process.
type peers struct {
	net.Listener
	// patience is how long a client may take to read some of what was sent.
	patience time.Duration
	mu       sync.Mutex
	all      int
	of       map[int32]int
}

func limitPeers(l net.Listener, patience time.Duration) *peers {
	return &peers{Listener: l, patience: patience, of: map[int32]int{}}
}

// Accept implements net.Listener. Connections that are too many are answered with 503.
func (p *peers) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if pid := processOf(c); p.enter(pid) {
			return &peer{Conn: c, patience: p.patience, leave: sync.OnceFunc(func() { p.leave(pid) })}, nil
		}
		refuse(c)
	}
}

func (p *peers) enter(pid int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == maxConnections || pid != 0 && p.of[pid] == maxOfProcess {
		return false
	}
	p.all++
	p.of[pid]++
	return true
}

func (p *peers) leave(pid int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.of[pid]--; p.of[pid] == 0 {
		delete(p.of, pid)
	}
}

// processOf returns the process at the other end of a unix socket, 0 if it is not known.
func processOf(c net.Conn) (pid int32) {
	if peer := credentials(c); peer != nil {
		pid = peer.Pid
	}
	return pid
}

// credentials are those of the process that connected a unix socket, nil if they are not known.
func credentials(c net.Conn) (of *unix.Ucred) {
	control(c, func(fd int) {
		if peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			of = peer
		}
	})
	return of
}

// actorOf returns who asks: the name of the user at the other end of the socket, or "uid 4711" if this host knows no name.
func actorOf(ctx context.Context) string {
	p := peerOf(ctx)
	if p == nil {
		return "api"
	}
	peer := credentials(p.Conn)
	if peer == nil {
		return "api"
	}
	id := strconv.FormatUint(uint64(peer.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
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
	_ = c.Close()
}

// peer is a connection whose other end must read: each piece that is written has a deadline.
type peer struct {
	net.Conn
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
	p, _ := ctx.Value(peerKey{}).(*peer)
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
