package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// links is a datapath in memory whose interfaces come and go, and may refuse a mode.
type links struct {
	*oracle.Datapath
	mu      sync.Mutex
	refused map[string]error // by interface, or interface and mode: "eth0 native"
	set     error            // what SetService returns
	is      lb.Condition
	refuses map[lb.VIP]error // what it returns of one service
	hook    func()           // is called before a service is set, unless nil
	sets    int              // how often one was
	news    chan lb.Event
	sent    map[netip.AddrPort]lb.Count // to the replicas of web
}

func (l *links) Events() <-chan lb.Event { return l.news }

func (l *links) Condition() (lb.Condition, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.is, nil
}

func (l *links) Attach(ctx context.Context, name string, mode lb.AttachMode) (lb.Interface, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range []string{name, name + " " + mode.String()} {
		if err := l.refused[key]; err != nil {
			return lb.Interface{}, fmt.Errorf("attach %s: %w", name, err)
		}
	}
	return l.Datapath.Attach(ctx, name, mode)
}

func (l *links) SetService(ctx context.Context, s lb.Service) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set != nil {
		return l.set
	}
	if err := l.refuses[s.VIP]; err != nil {
		return err
	}
	if l.hook != nil {
		l.hook()
	}
	l.sets++
	return l.Datapath.SetService(ctx, s)
}

// refuse has attaching an interface fail from now on, and an attached one detached by the kernel.
func (l *links) refuse(key string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[key] = err
	_ = l.Detach(context.Background(), key) // it may not be attached
}

func (l *links) allow(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.refused, key)
}

func (l *links) refuseSet(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set = err
}

func (l *links) refuseVIP(v lb.VIP, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuses[v] = err
}

// handClock stands still until it is set.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []chan time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) After(time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := make(chan time.Time, 1)
	c.timers = append(c.timers, t)
	return t, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timers = slices.DeleteFunc(c.timers, func(o chan time.Time) bool { return o == t })
	}
}

// tick lets time pass, and ends whatever waits.
func (c *handClock) tick(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for _, t := range c.timers {
		select {
		case t <- c.now:
		default:
		}
	}
}

// world is an engine that runs, over a datapath and a store in memory.
type world struct {
	*Engine
	t      *testing.T
	dp     *links
	kept   *storetest.Memory
	hand   *handClock
	stream *Subscription
}

// errAbsent is what attaching an interface that is not there fails with.
var errAbsent = fmt.Errorf("interface %w", lb.ErrNotFound)

func newLinks() *links {
	return &links{Datapath: oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}}), refused: map[string]error{}, refuses: map[lb.VIP]error{}, news: make(chan lb.Event), sent: map[netip.AddrPort]lb.Count{}}
}

func startWorld(t *testing.T, dp *links, i intent.Intent) *world {
	t.Helper()
	return runWorld(t, dp, &storetest.Memory{}, i)
}

// runWorld is startWorld with a store.
func runWorld(t *testing.T, dp *links, kept *storetest.Memory, i intent.Intent) *world {
	t.Helper()
	return runOver(t, dp, dp, kept, i)
}

// runOver is runWorld over a datapath that is not links alone.
func runOver(t *testing.T, over lb.Dataplane, dp *links, kept *storetest.Memory, i intent.Intent) *world {
	t.Helper()
	w := &world{t: t, dp: dp, kept: kept, hand: &handClock{now: noon}}
	var err error
	if w.Engine, err = Start(t.Context(), Options{Dataplane: over, Store: w.kept, Clock: w.hand, Source: "test.yaml"}, i); err != nil {
		t.Fatal(err)
	}
	w.stream = w.Subscribe()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); w.stream.Close() })
	return w
}

// wanting returns an intent with a service and interfaces, all in mode auto.
func wanting(interfaces ...string) intent.Intent {
	i := intent.Default()
	i.Services = intent.List(web(in(lb.Active), in(lb.Active)))
	for _, name := range interfaces {
		i = i.WithInterface(intent.Interface{Name: name, Mode: lb.Auto})
	}
	return i
}

// next lets seconds pass until something is told.
func (w *world) next() News {
	w.t.Helper()
	for range 2000 {
		select {
		case e := <-w.stream.Events():
			return e.News
		case <-time.After(5 * time.Millisecond):
			w.hand.tick(time.Second)
		}
	}
	w.t.Fatal("nothing is told")
	return nil
}

func (w *world) wantNews(want ...News) {
	w.t.Helper()
	for _, n := range want {
		if got := w.next(); got != n {
			w.t.Errorf("told %+v, want %+v", got, n)
		}
	}
}

// wantInterfaces compares how every interface is attached, and why not: "eth0 native", "eth1 missing: why".
func (w *world) wantInterfaces(want ...string) {
	w.t.Helper()
	s, err := w.Status()
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, i := range s.Interfaces {
		text := i.Name + " " + i.Attached.Mode.String()
		if i.Attached.Mode == "" {
			text = i.Name + " missing"
		}
		if i.Reason != "" {
			text += ": " + i.Reason
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("interfaces %q, want %q", got, want)
	}
	if unfulfilled := slices.ContainsFunc(s.Interfaces, func(i InterfaceStatus) bool { return i.Reason != "" }); unfulfilled != (w.NotReady() != "") {
		w.t.Errorf("not ready: %q", w.NotReady())
	}
}

// with returns the intent with a service.
func with(i intent.Intent, s intent.Service) (intent.Intent, error) {
	i, _ = i.WithService(s)
	return i, nil
}

// edit changes the intent.
func (w *world) edit(e func(intent.Intent) (intent.Intent, error)) (Plan, error) {
	_, p, err := w.Change(w.t.Context(), Change{Actor: "test", Reason: "edit", Edit: e})
	return p, err
}

func (w *world) mustEdit(e func(intent.Intent) (intent.Intent, error)) Plan {
	w.t.Helper()
	p, err := w.edit(e)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// state returns the state of a replica of web in the datapath.
func (w *world) state(n byte) lb.ReplicaState {
	w.t.Helper()
	all, err := w.dp.Services()
	if err != nil {
		w.t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(s lb.Service) bool { return s.VIP == web().VIP })
	state, there := intent.Service{Service: all[at]}.State(replica(n))
	if !there {
		w.t.Fatal(errors.New("no such replica"))
	}
	return state
}
