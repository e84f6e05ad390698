package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
)

// Client is the clients as a helper process: it prints helper.Ready, then does the jobs that it reads, a line
// of JSON each, and prints a Result for each, until its input ends. SIGTERM ends it in the middle of a job.
func Client() helper.Helper[struct{}] {
	return helper.Helper[struct{}]{Name: "load-client", Run: func(ctx context.Context, _ struct{}, stdin io.Reader, stdout io.Writer) error {
		return obey(ctx, stdin, stdout)
	}}
}

func obey(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	if _, err := fmt.Fprintln(stdout, helper.Ready); err != nil {
		return err
	}
	print := json.NewEncoder(stdout)
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		var j Job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return fmt.Errorf("read job: %w", err)
		}
		r, err := Do(ctx, j)
		if err != nil {
			return err
		}
		if err := print.Encode(r); err != nil {
			return fmt.Errorf("print result: %w", err)
		}
	}
	return nil
}

// Do does a job. Requests that fail are no error; the result counts them.
func Do(ctx context.Context, j Job) (Result, error) {
	if j.Timeout == 0 {
		j.Timeout = DefaultTimeout
	}
	if err := j.validate(); err != nil {
		return Result{}, fmt.Errorf("do job: %w", err)
	}
	c := &clients{job: j, body: j.Work.site().Body(0)}
	start := time.Now()
	var all sync.WaitGroup
	for range min(j.Concurrency, j.Requests) {
		all.Go(func() { c.work(ctx) })
	}
	all.Wait()
	return c.result(time.Since(start)), ctx.Err()
}

// clients are the clients of one job.
type clients struct {
	job  Job
	body []byte
	// next numbers the requests, connections the connections, failures the errors.
	next, connections, failures atomic.Int64

	mu    sync.Mutex // guards what follows
	times measure.Latencies
	first error
}

// work is one client: it sends requests until all are taken.
func (c *clients) work(ctx context.Context) {
	var times measure.Latencies
	var line connection
	for on := 0; c.next.Add(1) <= int64(c.job.Requests) && c.failures.Load() < enough && ctx.Err() == nil; {
		start := time.Now()
		err := c.ask(ctx, &line)
		if err != nil {
			c.fail(err)
		} else {
			times.Record(time.Since(start))
		}
		if on++; err != nil || on == c.job.Work.Each {
			hangUp(line)
			line, on = nil, 0
		}
	}
	hangUp(line)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times.Merge(&times)
}

// hangUp closes a connection, if there is one.
func hangUp(line connection) {
	if line != nil {
		_ = line.Close()
	}
}

// ask makes one request, on a new connection if there is none.
func (c *clients) ask(ctx context.Context, line *connection) (err error) {
	if *line == nil {
		n := c.connections.Add(1) - 1
		if *line, err = c.dial(ctx, c.job.Targets[int(n)%len(c.job.Targets)]); err != nil {
			return err
		}
	}
	answer, err := (*line).ask(c.job.Timeout)
	if err != nil {
		return err
	}
	if !bytes.Equal(answer, c.body) {
		return fmt.Errorf("%d bytes answered are not the %d that were asked for", len(answer), len(c.body))
	}
	return nil
}

func (c *clients) fail(err error) {
	c.failures.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = err
	}
}

func (c *clients) result(took time.Duration) Result {
	r := Result{
		Requests: c.times.Count(), Errors: int(c.failures.Load()), Took: took,
		P50: c.times.Quantile(0.5), P99: c.times.Quantile(0.99),
	}
	if c.first != nil {
		r.Error = c.first.Error()
	}
	return r
}
