package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
	"lbctl/testbed/traffic/dial"
)

// Helper is the clients as a helper process. SIGTERM ends them early.
func Helper() helper.Helper[Config] { return helper.Helper[Config]{Name: "client", Run: Run} }

// Run makes the connections and requests, and closes the connections. A request that
// fails is no error of Run: the log says so, and the requests that could no longer be sent on its connection are
// logged as errors too, so that the log always has Total lines. No request is sent
// twice. The context's end is an error.
func Run(ctx context.Context, c Config, stdin io.Reader, stdout io.Writer) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	c = c.withDefaults()
	r := &run{config: c, expects: newExpectations(c.Site), stdin: stdin, stdout: stdout}
	if c.Log != "" {
		var err error
		if r.log, err = journal.Create[Request](c.Log); err != nil {
			return err
		}
	}
	err := r.all(ctx)
	if r.log != nil {
		err = errors.Join(err, r.log.Close())
	}
	return err
}

// run is one call of Run.
type run struct {
	config  Config
	expects expectations
	log     *journal.Journal[Request]
	stdin   io.Reader

	mu     sync.Mutex // guards what follows
	stdout io.Writer
	done   int
}

func (r *run) all(ctx context.Context) error {
	connections := r.connections()
	defer func() {
		for _, c := range connections {
			c.close()
		}
	}()
	n := r.config.RequestsPerConnection
	if !r.config.Barrier {
		r.phase(ctx, connections, n, (*connection).close)
		return context.Cause(ctx)
	}
	first := (n + 1) / 2
	r.phase(ctx, connections, first, func(*connection) {})
	if err := r.hold(ctx); err != nil {
		return err
	}
	r.phase(ctx, connections, n-first, (*connection).close)
	return context.Cause(ctx)
}

func (r *run) connections() []*connection {
	choice := newChoice(r.config)
	ports := dial.NewDealer(rand.New(rand.NewPCG(r.config.Seed, 1<<32)), dial.FirstPort, dial.LastPort)
	all := make([]*connection, r.config.Connections)
	for i := range all {
		source := ports.Deal(r.config.Sources[i%len(r.config.Sources)])
		all[i] = &connection{number: i, source: source, objects: choice.objects(i)}
	}
	return all
}

// phase has every connection request n objects, Concurrency connections at a time,
// within the limit, and calls after for each.
func (r *run) phase(ctx context.Context, connections []*connection, n int, after func(*connection)) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.config.Limit, fmt.Errorf("limit of %v reached", r.config.Limit))
	defer cancel()
	queue := make(chan *connection, len(connections))
	for _, c := range connections {
		queue <- c
	}
	close(queue)
	var workers sync.WaitGroup
	for range min(r.config.Concurrency, len(connections)) {
		workers.Go(func() {
			w := newWorker(r.config, r.expects, r.finished)
			for c := range queue {
				w.work(ctx, c, n)
				after(c)
			}
		})
	}
	workers.Wait()
}

// hold prints Half and waits for a line, or the context's end.
func (r *run) hold(ctx context.Context) error {
	if _, err := fmt.Fprintln(r.stdout, Half); err != nil {
		return fmt.Errorf("print at the barrier: %w", err)
	}
	line := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(r.stdin).ReadString('\n')
		line <- err
	}()
	select {
	case err := <-line:
		if err != nil {
			return fmt.Errorf("wait at the barrier: %w", err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finished logs a request and prints progress. Safe for concurrent use.
func (r *run) finished(q Request) {
	if r.log != nil {
		r.log.Append(q)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	if r.config.Progress > 0 && r.done%r.config.Progress == 0 {
		// A lab that no longer reads is about to end us.
		_, _ = fmt.Fprintf(r.stdout, "progress %d %d\n", r.done, r.config.Total())
	}
}
