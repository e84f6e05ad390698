package rest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
	"lbctl/control/engine"
	"lbctl/control/rest"
	"lbctl/control/store"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// world is a daemon over a datapath in memory, on a real socket, and its client.
type world struct {
	t      *testing.T
	dp     *faulty
	engine *engine.Engine
	store  store.Store
	socket string
	client *client.Client
	clock  *fakeClock
	stop   func()
}

// faulty is a datapath that can be told to refuse or panic.
type faulty struct {
	*oracle.Datapath
	// refuse is asked before every SetService.
	refuse atomic.Pointer[func(lb.Service) error]
	// watchers is how many monitors there are; watching gets a value whenever that changes.
	watchers atomic.Int64
	watching chan struct{}
	// gone has the interfaces that are not there any more.
	gone sync.Map
	// lost is what is lost after the verdict, and why it is not counted.
	lost atomic.Pointer[lost]
	// counts is how often recorded flows were counted.
	counts atomic.Int64
}

func (f *faulty) Flows(of ...lb.VIP) (map[lb.VIP]lb.Flows, error) {
	f.counts.Add(1)
	return f.Datapath.Flows(of...)
}

func (f *faulty) Counters() (lb.Counters, error) {
	c, err := f.Datapath.Counters()
	f.addLost(&c)
	return c, err
}

func (f *faulty) ReasonCounts() (lb.Counters, error) {
	c, err := f.Datapath.ReasonCounts()
	f.addLost(&c)
	return c, err
}

func (f *faulty) addLost(to *lb.Counters) {
	if l := f.lost.Load(); l != nil {
		to.Losses, to.LossesUnknown = l.losses, l.unknown
	}
}

type lost struct {
	losses  []lb.Loss
	unknown string
}

// lose has packets lost from now on, or not counted.
func (f *faulty) lose(unknown string, losses ...lb.Loss) { f.lost.Store(&lost{losses, unknown}) }

// unplug takes an interface away: the kernel detaches, and nothing can attach.
func (f *faulty) unplug(name string) {
	f.gone.Store(name, true)
	_ = f.Detach(context.Background(), name) // it may not be attached
}

func (f *faulty) Attach(ctx context.Context, name string, mode lb.AttachMode) (lb.Interface, error) {
	if _, gone := f.gone.Load(name); gone {
		return lb.Interface{}, fmt.Errorf("attach %s: interface %w", name, lb.ErrNotFound)
	}
	return f.Datapath.Attach(ctx, name, mode)
}

// Monitor counts who watches.
func (f *faulty) Monitor(filter lb.Filter) (lb.Monitor, error) {
	m, err := f.Datapath.Monitor(filter)
	if err != nil {
		return nil, err
	}
	f.watchers.Add(1)
	f.watching <- struct{}{}
	return &countedMonitor{m, f}, nil
}

type countedMonitor struct {
	lb.Monitor
	of *faulty
}

func (m *countedMonitor) Close() error {
	m.of.watchers.Add(-1)
	m.of.watching <- struct{}{}
	return m.Monitor.Close()
}

func (f *faulty) SetService(ctx context.Context, s lb.Service) error {
	if refuse := f.refuse.Load(); refuse != nil {
		if err := (*refuse)(s); err != nil {
			return err
		}
	}
	return f.Datapath.SetService(ctx, s)
}

func (f *faulty) refuseWith(refuse func(lb.Service) error) { f.refuse.Store(&refuse) }

func newMemory() *oracle.Datapath {
	return oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}})
}

// start starts a daemon in a directory, over a datapath, with the stored intent.
func start(t *testing.T, dir string, memory *oracle.Datapath) *world {
	t.Helper()
	return startAt(t, dir, memory, newClock())
}

func startAt(t *testing.T, dir string, memory *oracle.Datapath, clock *fakeClock) *world {
	t.Helper()
	return startWith(t, dir, memory, clock, rest.Options{Version: "test"})
}

func startWith(t *testing.T, dir string, memory *oracle.Datapath, clock *fakeClock, o rest.Options) *world {
	t.Helper()
	w := &world{t: t, dp: &faulty{Datapath: memory, watching: make(chan struct{}, 100)}, socket: filepath.Join(dir, "s"), clock: clock}
	var err error
	if w.store, err = store.Open(dir); err != nil {
		t.Fatal(err)
	}
	stored, err := w.store.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: w.dp, Store: w.store, Clock: clock}, stored.Intent)
	if err != nil {
		t.Fatal(err)
	}
	l, err := rest.Listen(w.socket, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	o.Engine, w.engine = e, e
	w.serve(o, l)
	w.client = client.New(w.socket)
	t.Cleanup(w.stop)
	return w
}

func (w *world) serve(o rest.Options, l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rest.New(o).Serve(ctx, l) }()
	var keeping sync.WaitGroup
	keeping.Go(func() { o.Engine.Run(ctx) })
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		w.client.Close()
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("serve: %v", err)
		}
		keeping.Wait()
		if err := w.store.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

func newWorld(t *testing.T) *world { return start(t, shortDir(t), newMemory()) }

// shortDir is a temporary directory whose path leaves room for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// doc parses YAML.
func doc(t *testing.T, text string) api.Config {
	t.Helper()
	f, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.Config
}

func (w *world) apply(text string) api.Change {
	w.t.Helper()
	change, err := w.client.Apply(w.t.Context(), doc(w.t, text))
	if err != nil {
		w.t.Fatal(err)
	}
	return change
}

// forwarded returns the VIPs of the datapath with their number of replicas.
func (w *world) forwarded() map[string]int {
	w.t.Helper()
	services, err := w.dp.Services()
	if err != nil {
		w.t.Fatal(err)
	}
	m := map[string]int{}
	for _, s := range services {
		m[s.VIP.String()] = len(s.Replicas)
	}
	return m
}

// request makes one by hand and returns the status, the header and, for JSON, the problem.
func (w *world) request(method, path, body string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	return rawRequest(w.t, w.socket, method, path, body, headers...)
}

// wantMetrics fails unless the page for Prometheus has lines.
func (w *world) wantMetrics(lines ...string) {
	w.t.Helper()
	response, page := w.request("GET", "/metrics", "")
	if response.StatusCode != http.StatusOK {
		w.t.Fatalf("status %d: %s", response.StatusCode, page)
	}
	for _, line := range lines {
		if !strings.Contains(page, "\n"+line+"\n") {
			w.t.Errorf("metrics lack %s", line)
		}
	}
}

// wantStatus fails unless err is the daemon's refusal with a status.
func wantStatus(t *testing.T, err error, status int) *client.Error {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want the daemon's", err)
	}
	if e.Problem.Status != status {
		t.Fatalf("status %d (%v), want %d", e.Problem.Status, e, status)
	}
	return e
}

const web = `services:
  - name: web
    vip: 192.0.2.1:80
    replicas: [{address: 10.0.0.1:80}, {address: 10.0.0.2:80}]
`

const webAndDNS = web + `  - name: dns
    vip: 192.0.2.1:53
    protocol: udp
    scheduler: maglev
    replicas: [{address: 10.0.0.1:53, weight: 3}]
`

// dir is the daemon's state directory.
func (w *world) dir() string { return filepath.Dir(w.socket) }

// fakeClock stands still until it is advanced.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	// armed is sent to whenever a timer is made.
	armed chan time.Duration
}

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func newClock() *fakeClock {
	return &fakeClock{now: noon, timers: map[chan time.Time]time.Time{}, armed: make(chan time.Duration, 100)}
}

// Now implements engine.Clock.
func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After implements engine.Clock.
func (c *fakeClock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := make(chan time.Time, 1)
	c.timers[t] = c.now.Add(d)
	c.armed <- d
	return t, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
	}
}

// advance lets time pass, and what was set to go off by then.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for t, when := range c.timers {
		if !when.After(c.now) {
			t <- c.now
			delete(c.timers, t)
		}
	}
}

// set sets the time of day, which timers do not look at: they go off as late as they would have.
func (c *fakeClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, when := range c.timers {
		c.timers[t] = now.Add(when.Sub(c.now))
	}
	c.now = now
}

// waitArmed waits until somebody waits for a time, and returns it.
func (c *fakeClock) waitArmed(t *testing.T) time.Duration {
	t.Helper()
	select {
	case d := <-c.armed:
		return d
	case <-time.After(time.Minute):
		t.Fatal("nobody waits for the clock")
		return 0
	}
}
