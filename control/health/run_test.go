package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// replicas returns a service with n replicas from an address on, and a check.
func replicas(vip byte, n int, c intent.Check) intent.Service {
	s := intent.Service{Name: "web", Health: c}
	s.VIP = lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, vip}), 80), Protocol: 6}
	for r := range n {
		s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, vip, byte(r >> 8), byte(r)}), 80)})
	}
	return s
}

// every is a check of an interval.
func every(d time.Duration) intent.Check {
	return intent.Check{Type: intent.CheckTCP, Interval: d, Timeout: d, Rise: 2, Fall: 3}
}

// bed is a checker that runs in time that stands still until all wait.
type bed struct {
	*Checker
	mu    sync.Mutex
	begun map[Key][]time.Time
	told  map[Key]Result
	tells []time.Time
	ill   map[Key]error
	takes time.Duration
	busy  int
	most  int
}

// run runs a checker while a test does something.
func run(t *testing.T, o Options, do func(*bed)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{begun: map[Key][]time.Time{}, told: map[Key]Result{}, ill: map[Key]error{}}
		o.Tell = func(found map[Key]Result) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.tells = append(b.tells, time.Now())
			for k, r := range found {
				b.told[k] = r
			}
		}
		o.probe = func(ctx context.Context, t target) error {
			b.mu.Lock()
			b.begun[t.Key] = append(b.begun[t.Key], time.Now())
			b.busy++
			b.most = max(b.most, b.busy)
			takes, found := b.takes, b.ill[t.Key]
			b.mu.Unlock()
			select {
			case <-time.After(takes):
			case <-ctx.Done():
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.busy--
			return found
		}
		b.Checker = New(o)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { b.Run(ctx) })
		do(b)
		cancel()
		running.Wait()
	})
}

func key(s intent.Service, n int) Key { return Key{s.VIP, s.Replicas[n].Address} }

// after lets time pass and returns what was found of a replica last.
func (b *bed) after(d time.Duration, k Key) Result {
	time.Sleep(d)
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told[k]
}

func (b *bed) make(k Key, found error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ill[k] = found
}

// Each replica is checked at its interval, give or take a tenth, and they spread over it.
func TestSchedule(t *testing.T) {
	run(t, Options{}, func(b *bed) {
		s, began := replicas(1, 1000, every(2*time.Second)), time.Now()
		b.Set(intent.List(s))
		b.after(20*time.Second, Key{})
		b.mu.Lock()
		defer b.mu.Unlock()
		var second [2]int
		first := map[time.Time]bool{}
		for k, at := range b.begun {
			if len(at) < 9 || len(at) > 12 || at[0].Sub(began) > time.Second+grain {
				t.Fatalf("%v was checked %d times, first after %v", k, len(at), at[0].Sub(began))
			}
			for n := range at[1:] {
				if d := at[n+1].Sub(at[n]); d < 1800*time.Millisecond-grain || d > 2200*time.Millisecond+grain {
					t.Errorf("%v: %v between two checks", k, d)
				}
			}
			first[at[0]] = true
			second[at[5].Sub(began).Milliseconds()/500%2]++
		}
		if len(b.begun) != 1000 || min(second[0], second[1]) < 300 || len(first) < 300 {
			t.Errorf("%d were checked, at the first time at %d times, by half seconds %v", len(b.begun), len(first), second)
		}
	})
}

// What is found is told, and again after a Set; a replica or check that goes is not checked any more.
func TestSet(t *testing.T) {
	run(t, Options{}, func(b *bed) {
		s := replicas(1, 2, every(time.Second))
		b.make(key(s, 1), errors.New("refused"))
		b.Set(intent.List(s))
		if r := b.after(time.Second, key(s, 1)); r.Status != Unhealthy || r.Reason != "refused" || b.after(0, key(s, 0)).Status != Healthy {
			t.Errorf("found %+v", r)
		}
		b.mu.Lock()
		b.told, b.tells = map[Key]Result{}, nil
		b.mu.Unlock()
		if r := b.after(time.Minute, key(s, 1)); len(b.tells) != 0 {
			t.Errorf("told what is as before: %+v", r)
		}
		other := s
		other.Health.Rise = 9
		b.make(key(s, 1), nil)
		b.Set(intent.List(other)) // another check: its first result decides, and until then it is as before
		synctest.Wait()
		if r := b.after(200*time.Millisecond, key(s, 1)); r.Status != Healthy {
			t.Errorf("the first result of another check: %+v", r)
		}
		b.Set(intent.List(replicas(1, 1, every(time.Second)), replicas(2, 1, intent.Check{})))
		synctest.Wait()
		b.mu.Lock()
		n := len(b.begun[key(s, 1)])
		b.mu.Unlock()
		b.after(time.Minute, Key{})
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.begun) != 2 || len(b.begun[key(s, 1)]) != n {
			t.Errorf("%d are checked, the one that is gone %d more times", len(b.begun), len(b.begun[key(s, 1)])-n)
		}
	})
}

// As many checks as may be are under way, and no more; those that wait get their turn.
func TestParallel(t *testing.T) {
	run(t, Options{Parallel: 10}, func(b *bed) {
		b.takes = 100 * time.Millisecond
		b.Set(intent.List(replicas(1, 50, every(time.Second)), replicas(2, 1, func() intent.Check {
			c := every(time.Second)
			c.Type = intent.CheckExec
			return c
		}())))
		b.after(10*time.Second, Key{})
		b.mu.Lock()
		defer b.mu.Unlock()
		for k, at := range b.begun {
			if len(at) < 8 {
				t.Errorf("%v was checked %d times", k, len(at))
			}
		}
		if len(b.begun) != 51 || b.most > 11 || b.most < 10 {
			t.Errorf("%d were checked, %d at a time", len(b.begun), b.most)
		}
	})
}

// However much changes, it is told a bounded number of times a second, the first at once.
func TestTellsTogether(t *testing.T) {
	run(t, Options{}, func(b *bed) {
		s := replicas(1, 10000, every(2*time.Second))
		b.Set(intent.List(s))
		b.after(3*time.Second, Key{})
		b.mu.Lock()
		if n := len(b.tells); len(b.told) != 10000 || n < 10 || n > 31 {
			t.Errorf("%d told in %d times", len(b.told), n)
		}
		b.tells = nil
		b.mu.Unlock()
		other := replicas(2, 10000, every(2*time.Second)) // all at once are others
		b.Set(intent.List(other))
		b.after(3*time.Second, Key{})
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.tells); len(b.told) != 20000 || n > 31 {
			t.Errorf("%d told in %d times", len(b.told), n)
		}
		for n := range b.tells[1:] {
			if d := b.tells[n+1].Sub(b.tells[n]); d < defaultTellEvery {
				t.Errorf("told again after %v", d)
			}
		}
	})
}

// Where there is no way nothing is known, and that is said; it is no verdict about the replica.
func TestNoWay(t *testing.T) {
	run(t, Options{}, func(b *bed) {
		s := replicas(1, 1, every(time.Second))
		b.make(key(s, 0), errors.New("refused"))
		b.Set(intent.List(s))
		b.after(time.Second, Key{})
		b.make(key(s, 0), &cannotCheck{errors.New("no route")})
		if r := b.after(2*time.Second, key(s, 0)); r.Status != Unknown || r.Reason != "no route" {
			t.Errorf("without a way %+v", r)
		}
		b.make(key(s, 0), errors.New("refused"))
		if r := b.after(2*time.Second, key(s, 0)); r.Status != Unhealthy {
			t.Errorf("with one again, the first result: %+v", r)
		}
	})
}

// BenchmarkChecks runs 10,000 TCP checks each 2 s against real listeners, of another process, and reports how late they
// began and what they cost: in cores, the kernel's part included (-benchtime 1x).
func BenchmarkChecks(b *testing.B) {
	const n = 10000
	port := listening(b)
	s := replicas(1, n, intent.Check{Type: intent.CheckTCP, Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3})
	for i := range s.Replicas {
		s.Replicas[i].Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), port)
	}
	var mu sync.Mutex
	var lags []time.Duration
	healthy := 0
	c := New(Options{Tell: func(found map[Key]Result) {
		for _, r := range found {
			if r.Status == Healthy {
				healthy++
			}
		}
	}})
	c.o.probe = func(ctx context.Context, t target) error {
		lag := time.Since(t.due)
		mu.Lock()
		lags = append(lags, lag)
		mu.Unlock()
		return probe(ctx, direct, t)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	c.Set(intent.List(s))
	time.Sleep(3 * time.Second)
	mu.Lock()
	lags = nil
	mu.Unlock()
	const measured = 10 * time.Second
	before := cpu(b)
	time.Sleep(measured)
	spent := cpu(b) - before
	mu.Lock()
	slices.Sort(lags)
	b.ReportMetric(float64(len(lags))/measured.Seconds(), "checks/s")
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "median-lag-ms")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "p99-lag-ms")
	b.ReportMetric(float64(lags[len(lags)-1].Microseconds())/1000, "max-lag-ms")
	b.ReportMetric(spent.Seconds()/measured.Seconds(), "cores")
	mu.Unlock()
	cancel()
	running.Wait()
	if healthy != n {
		b.Errorf("%d of %d were healthy", healthy, n)
	}
}

// listening starts a process that accepts at every loopback address, and returns the port.
func listening(b *testing.B) uint16 {
	b.Helper()
	server := exec.Command("/proc/self/exe", "command", "listen")
	server.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Process.Kill(); server.Wait() })
	first := make([]byte, 16)
	size, err := out.Read(first)
	if err != nil {
		b.Fatal(err)
	}
	port, err := strconv.ParseUint(strings.TrimSpace(string(first[:size])), 10, 16)
	if err != nil {
		b.Fatal(err)
	}
	return uint16(port)
}

// cpu is the time that this process has had.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// listenAll accepts at every loopback address, at a port that it prints, until it is killed.
func listenAll() {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}
