package traffic

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic/dial"
)

// connection is one TCP connection and the requests that are to be sent on it. One goroutine at a time.
type connection struct {
	number  int
	source  netip.AddrPort // port 0: the kernel chooses
	objects []int          // those still to be requested
	flow    packet.Flow
	conn    *net.TCPConn
	reader  *bufio.Reader
	// broken is set once, by the first error: after it nothing more is sent on the connection.
	broken error
}

// open connects. An error stays with the connection.
func (c *connection) open(ctx context.Context, vip netip.AddrPort, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial.FromDealt(ctx, c.source, vip)
	if err != nil {
		c.broken = fmt.Errorf("connect: %w", err)
		c.flow = packet.Flow{Source: netip.AddrPortFrom(c.source.Addr(), 0), Destination: vip, Protocol: packet.TCP}
		return
	}
	c.flow = packet.Flow{Source: dial.Local(conn), Destination: vip, Protocol: packet.TCP}
	c.conn, c.reader = conn, bufio.NewReader(conn)
}

// ask sends one request, reads the answer and returns what it was. The hash of the body
// is computed in the worker's buffer.
func (c *connection) ask(object int, w *worker) Request {
	r := Request{Connection: c.number, Flow: c.flow, Object: object, Replica: -1}
	if c.broken != nil {
		r.Err = "not asked: " + c.broken.Error()
		return r
	}
	sum, err := c.exchange(&r, w)
	if err != nil {
		c.broken = err
		r.Err = err.Error()
		return r
	}
	want := w.expected(object)
	switch {
	case r.Status != http.StatusOK:
		r.Err = fmt.Sprintf("status %d, want 200", r.Status)
	case r.Bytes != want.size:
		r.Err = fmt.Sprintf("%d bytes, want %d", r.Bytes, want.size)
	case sum != want.sum:
		r.Err = fmt.Sprintf("sha-256 %x, want %x", sum, want.sum)
	}
	return r
}

// exchange fills in status, bytes and replica, and returns the body's SHA-256.
func (c *connection) exchange(r *Request, w *worker) (sum [sha256.Size]byte, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(w.config.Timeout)); err != nil {
		return sum, fmt.Errorf("set deadline: %w", err)
	}
	if _, err := fmt.Fprintf(c.conn, "GET /objects/%d HTTP/1.1\r\nHost: %v\r\n\r\n", r.Object, w.config.VIP); err != nil {
		return sum, fmt.Errorf("send request: %w", err)
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return sum, fmt.Errorf("read answer: %w", err)
	}
	r.Status = answer.StatusCode
	if n, err := strconv.Atoi(answer.Header.Get(replica.Header)); err == nil {
		r.Replica = n
	}
	w.hash.Reset()
	n, err := io.CopyBuffer(w.hash, answer.Body, w.buffer)
	r.Bytes = int(n)
	err = errors.Join(err, answer.Body.Close())
	if err != nil {
		return sum, fmt.Errorf("read body: %w", err)
	}
	if answer.Close {
		c.broken = errors.New("the replica closed the connection")
	}
	return [sha256.Size]byte(w.hash.Sum(nil)), nil
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// worker sends requests on one connection after the other. One goroutine.
type worker struct {
	config   Config
	expects  expectations
	hash     hash.Hash
	buffer   []byte
	finished func(Request)
}

func (w *worker) expected(object int) expectation { return w.expects[object]() }

// newWorker makes a worker that reports every request, answered or not, to finished.
func newWorker(c Config, e expectations, finished func(Request)) *worker {
	return &worker{config: c, expects: e, hash: sha256.New(), buffer: make([]byte, 64<<10), finished: finished}
}

// work requests the next n objects on a connection, which is opened first if it is new.
func (w *worker) work(ctx context.Context, c *connection, n int) {
	if err := ctx.Err(); err != nil && c.broken == nil {
		c.broken = context.Cause(ctx)
	}
	if c.conn == nil && c.broken == nil {
		c.open(ctx, w.config.VIP, w.config.Timeout)
	}
	for _, object := range c.objects[:n] {
		w.finished(c.ask(object, w))
	}
	c.objects = c.objects[n:]
}

// expectation is what the answer for an object must be.
type expectation struct {
	size int
	sum  [sha256.Size]byte
}

// expectations knows what every object must be; each is computed when it is first
// needed. Safe for concurrent use.
type expectations []func() expectation

func newExpectations(s replica.Site) expectations {
	all := make(expectations, s.Objects)
	for n := range all {
		all[n] = sync.OnceValue(func() expectation {
			return expectation{size: s.Size(n), sum: s.Sum(n)}
		})
	}
	return all
}
