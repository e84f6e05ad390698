package traffic

import (
	"context"
	"crypto/sha256"
	"hash"
)

// worker asks, one connection after the other. One goroutine.
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

// work asks the next n objects on a connection, which is opened first if it is new.
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
