// Package stress has tests of all operations of the API: with the examples, with wrong requests, and with those that contradict each other.
package stress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest"
	"lbctl/control/store"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// last is a store that keeps the last revision alone.
type last struct {
	mu sync.Mutex
	is store.Revision
	// count is how many were stored.
	count uint64
}

func (l *last) Append(_ context.Context, after uint64, all ...store.Revision) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after != l.is.Number {
		return 0, fmt.Errorf("append after %d: the last is %d", after, l.is.Number)
	}
	for _, r := range all {
		l.is = r
		after++
		l.is.Number = after
		l.count++
	}
	return l.is.Number, nil
}

func (l *last) Latest(context.Context) (store.Revision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.is.Number == 0 {
		return store.Revision{Intent: intent.Default()}, nil
	}
	return l.is, nil
}

func (l *last) Revision(ctx context.Context, n uint64) (store.Revision, error) {
	r, err := l.Latest(ctx)
	if err == nil && r.Number != n {
		err = fmt.Errorf("revision %d: %w", n, lb.ErrNotFound)
	}
	return r, err
}

func (l *last) History(ctx context.Context, _ int) ([]store.Entry, error) {
	r, err := l.Latest(ctx)
	return []store.Entry{r.Entry}, err
}

func (l *last) Close() error { return nil }

// served starts the API on a socket, and returns its store and a client.
func served(t testing.TB) (*last, *engine.Engine, *http.Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	kept := &last{}
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2}}), Store: kept}, intent.Default())
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := rest.Listen(socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rest.New(rest.Options{Engine: e, Version: "test"}).Serve(ctx, l) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 60, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return kept, e, &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// countOf is the size of a test: a number, or that of an environment variable.
func countOf(t *testing.T, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%s=%q is no number of requests", variable, text)
	}
	return n
}

// do sends a request and returns the status and up to a kilobyte of the answer.
func do(client *http.Client, r *http.Request) (status int, text string, err error) {
	if r.URL.Path == "/v1/monitor" || r.URL.Path == "/v1/events" {
		return leave(client, r)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	head := make([]byte, 1000)
	n, err := io.ReadFull(answer.Body, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	return answer.StatusCode, string(head[:n]), err
}

// leave sends a request over a connection of its own, says that nothing more comes, and reads until the daemon has hung up: a stream ends
// by that, and what the daemon counts of it with it.
func leave(client *http.Client, r *http.Request) (status int, text string, err error) {
	c, err := client.Transport.(*http.Transport).DialContext(r.Context(), "", "")
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	r.Close = true
	if err := r.Write(c); err != nil {
		return 0, "", err
	}
	reader := bufio.NewReader(c)
	answer, err := http.ReadResponse(reader, r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, reader)
	return answer.StatusCode, "", err
}

// TestBadRequests sends requests like those of the OpenAPI description with something wrong in them (LBCTL_REQUESTS of them, a seed by
// LBCTL_SEED): none is answered with 5xx (see busy), the daemon goes on, and does not hold more memory.
func TestBadRequests(t *testing.T) {
	count, seed := countOf(t, "LBCTL_REQUESTS", 5000), uint64(countOf(t, "LBCTL_SEED", 1))
	t.Logf("%d requests, LBCTL_SEED=%d", count, seed)
	_, e, client := served(t)
	text := description(t, client)
	var left atomic.Int64
	left.Store(int64(count))
	const workers = 4
	tallies := make(chan map[int]int, workers)
	var before int
	var most, began = count, time.Now()
	measured := sync.OnceFunc(func() { before = held() })
	for n := range uint64(workers) {
		g, err := newGenerator(text, seed<<8+n)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			tally := map[int]int{}
			defer func() { tallies <- tally }()
			for {
				now := left.Add(-1)
				if now < 0 || t.Failed() {
					return
				}
				if now == int64(most/2) { // everything has been used by then
					measured()
				}
				r, err := g.request()
				if err != nil {
					t.Error(err)
					return
				}
				status, answer, err := do(client, r)
				tally[status]++
				// After a status the connection may be reset: what is refused is not read to its end.
				if (status == 0 || status >= 500) && !busy(status, r.URL.Path) {
					t.Errorf("%s %s: %d %s %v", r.Method, r.URL, status, answer, err)
				}
			}
		}()
	}
	all := map[int]int{}
	for range workers {
		for status, n := range <-tallies {
			all[status] += n
		}
	}
	t.Logf("%v; by status %v; revision %d; %d MB held, %d half way", time.Since(began).Round(time.Millisecond), all, e.Now().Number, held(), before)
	if all[200] == 0 || all[404] == 0 || all[422] == 0 || all[400] == 0 {
		t.Errorf("the requests are not of all kinds: %v", all)
	}
	if after := held(); after > before+64 {
		t.Errorf("%d MB are held, %d half way", after, before)
	}
}

// description returns the OpenAPI description.
func description(t *testing.T, client *http.Client) []byte {
	t.Helper()
	answer, err := client.Get("http://lbctl/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// busy tells whether an answer is 503 as it should be: the daemon is not ready.
func busy(status int, path string) bool {
	return status == http.StatusServiceUnavailable && path == "/readyz"
}

// held returns the memory that the runtime has of the system and has not returned, in MB.
func held() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int((m.Sys - m.HeapReleased) >> 20)
}

// TestConflictingPuts has very many clients (LBCTL_PUTS) put a service at once, all at the revision that they have read: one wins, the others are
// told (412), and again at the next revision. As many are on the way at a time as one process may have connections.
func TestConflictingPuts(t *testing.T) {
	const rounds = 4
	clients := countOf(t, "LBCTL_PUTS", 500)
	kept, e, client := served(t)
	began := time.Now()
	for round := range rounds {
		at := e.Now().Number
		var won, lost atomic.Int64
		var all sync.WaitGroup
		begin := make(chan struct{})
		for n := range clients {
			all.Go(func() {
				<-begin
				body := fmt.Sprintf(`{"name":"web","vip":"192.0.2.1:80","seed":%d,"replicas":[{"address":"10.0.0.1:80"}]}`, round*clients+n)
				r, err := http.NewRequestWithContext(t.Context(), "PUT", "http://lbctl/v1/services/web", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("If-Match", fmt.Sprintf(`"%d"`, at))
				switch status, answer, err := do(client, r); {
				case err == nil && status == http.StatusOK:
					won.Add(1)
				case err == nil && status == http.StatusPreconditionFailed:
					lost.Add(1)
				default:
					t.Errorf("%d %s %v", status, answer, err)
				}
			})
		}
		close(begin)
		all.Wait()
		if won.Load() != 1 || lost.Load() != int64(clients-1) || e.Now().Number != at+1 {
			t.Errorf("at revision %d: %d won, %d lost, and the revision is %d", at, won.Load(), lost.Load(), e.Now().Number)
		}
	}
	if kept.count != 1+rounds {
		t.Errorf("%d revisions were stored, want %d", kept.count, 1+rounds)
	}
	t.Logf("%d PUTs at each of %d revisions in %v", clients, rounds, time.Since(began).Round(time.Millisecond))
}
