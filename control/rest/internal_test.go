package rest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// TestPageOf: page after page of any size are all elements in order, and no page sorts what is not on it.
func TestPageOf(t *testing.T) {
	same := func(name string) string { return name }
	for _, n := range []int{0, 1, 2, 100, 1000} {
		var all []string
		for _, k := range rand.New(rand.NewPCG(1, uint64(n))).Perm(n) {
			all = append(all, fmt.Sprintf("s%04d", k))
		}
		sorted := slices.Sorted(slices.Values(all))
		for _, limit := range []int{1, 2, 7, 99, 100, 101, 999, 2000} {
			var got []string
			for p := (Page{Limit: limit}); ; {
				part, next := pageOf(p, all, same)
				if got = append(got, part...); len(part) > limit || next != "" && len(part) < limit {
					t.Fatalf("%d of %d, next %q", len(part), limit, next)
				}
				if p.After = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, sorted) {
				t.Errorf("%d by %d: %v", n, limit, got)
			}
		}
		if part, next := pageOf(Page{After: "s"}, all, same); next != "" || !slices.Equal(part, sorted) {
			t.Errorf("%d without a limit: %v, next %q", n, part, next)
		}
	}
}

// pipes is a listener whose connections are in memory, and whose deadlines are of the test's clock.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, open := <-p; open {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// dialed returns a connection to a server. The clock is the test's: time passes when all wait.
func dialed(t *testing.T) net.Conn {
	t.Helper()
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: oracle.New(oracle.Config{}), Store: &storetest.Memory{}}, intent.Default())
	if err != nil {
		t.Fatal(err)
	}
	l, web := make(pipes, 1), &http.Server{Handler: New(Options{Engine: e, Version: "test"}).handler}
	go web.Serve(l)
	client, server := net.Pipe()
	l <- server
	t.Cleanup(func() {
		client.Close()
		close(l)
		web.Close()
		time.Sleep(time.Minute) // until whoever sleeps has seen it, of the test's time
	})
	return client
}

// plan sends a configuration of that many bytes over a connection, so many of them each second, and returns the status of the
// answer and how long that took.
func plan(t *testing.T, c net.Conn, size, perSecond int) (status int, took time.Duration) {
	t.Helper()
	began := time.Now()
	body := []byte(`{"services": [` + strings.Repeat(" ", size-len(`{"services": []}`)) + `]}`)
	go func() {
		fmt.Fprintf(c, "POST /v1/plan HTTP/1.1\r\nHost: lbctl\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", size)
		for len(body) > 0 {
			time.Sleep(time.Second)
			n := min(perSecond, len(body))
			if _, err := c.Write(body[:n]); err != nil {
				return // the server has hung up
			}
			body = body[n:]
		}
	}()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, time.Since(began)
}

// A large body over a slow connection has time in proportion to what has come; one that trickles is ended.
func TestSlowBody(t *testing.T) {
	for _, c := range []struct {
		name            string
		size, perSecond int
		status          int
		took            time.Duration
	}{
		{"large and slow", 6 << 20, 100 << 10, http.StatusOK, 62 * time.Second},
		{"as slow as may be", 2 << 20, bodyRate, http.StatusOK, 32 * time.Second},
		{"half of that", 8 << 20, bodyRate / 2, http.StatusRequestTimeout, 19 * time.Second},
		{"small", 18, 2, http.StatusOK, 9 * time.Second},
		{"trickling", 10 << 20, 1, http.StatusRequestTimeout, bodyPatience},
		{"trickling, and short", 100, 1, http.StatusRequestTimeout, bodyPatience},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				status, took := plan(t, dialed(t), c.size, c.perSecond)
				early := c.took - took // a second where bytes and the deadline come at once
				if status != c.status || early < 0 || early > time.Second {
					t.Errorf("status %d after %v, want %d after %v", status, took, c.status, c.took)
				}
			})
		})
	}
}

// TestEveryReasonHasAnAction compares with what lb says of its reasons: which are sent, answered
// and passed; all others are drops, and a new reason must be put into one of the lists.
func TestEveryReasonHasAnAction(t *testing.T) {
	want := map[lb.Reason]string{
		lb.Forwarded: redirect, lb.Returned: redirect, lb.ErrorForwarded: redirect, lb.ErrorReturned: redirect,
		lb.EchoAnswered: transmit, lb.TooBigAnswered: transmit, lb.Rejected: transmit,
		lb.NotIP: pass, lb.VLANTagged: pass, lb.NotTCPUDP: pass, lb.NotOurs: pass, lb.IPv6Extension: pass,
		lb.ForThisHost: pass, lb.OtherMAC: pass, lb.TTLExpired: pass, lb.NeighbourMissing: pass, lb.TooBigPassed: pass, lb.SuperPacketPassed: pass,
		lb.SuperPacket: drop, lb.TunnelTooNarrow: drop,
		lb.NeighbourPending: drop, lb.MalformedEthernet: drop, lb.MalformedIP: drop, lb.MalformedL4: drop,
		lb.FragmentOrphan: drop, lb.MartianSource: drop, lb.VIPNoService: drop, lb.RejectLimited: drop, lb.PortTaken: drop,
		lb.SourceDenied: drop, lb.RateLimitedFlows: drop, lb.RateLimitedPackets: drop, lb.NoHeadroom: drop,
		lb.Hairpin: drop, lb.NoReplica: drop, lb.NoRoute: drop, lb.TooBig: drop, lb.TableFault: drop,
	}
	for _, r := range lb.Reasons() {
		if got := actionOf(r, 2, 3); got != want[r] {
			t.Errorf("%s: %s, want %q", r, got, want[r])
		}
	}
}

// sound is a datapath to which nobody has done anything; the one in memory looks for that at every replica.
type sound struct{ *oracle.Datapath }

func (sound) Condition() (lb.Condition, error)    { return lb.Condition{}, nil }
func (sound) InTransition(lb.VIP) (uint32, error) { return 0, nil }

// BenchmarkReads is what one read takes over a unix socket that is kept, client and server together, with 10,000 services of ten
// replicas over a datapath in memory: reads per second of CPU are those that one core answers, whatever else the machine does.
func BenchmarkReads(b *testing.B) {
	i := intent.Default()
	i.Datapath.Limits = lb.Limits{Services: 1 << 16, Replicas: 1 << 20, Slots: 1 << 27, Flows: 1 << 20}
	for n := range 10_000 {
		s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 80), Protocol: packet.TCP}}
		for k := range 10 {
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(k), byte(n >> 8), byte(n)}), 80)})
		}
		i.Services = append(i.Services, &intent.Service{Name: fmt.Sprintf("s%05d", n), Service: s.WithDefaults()})
	}
	e, err := engine.Start(b.Context(), engine.Options{Dataplane: sound{oracle.New(oracle.Config{Limits: i.Datapath.Limits})}, Store: &storetest.Memory{}}, i)
	if err != nil {
		b.Fatal(err)
	}
	socket := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = New(Options{Engine: e, Version: "test"}).Serve(ctx, l) })
	defer serving.Wait()
	defer stop()
	web := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}}
	defer web.CloseIdleConnections()
	for _, path := range []string{"/healthz", "/readyz", "/v1/services/s05000", "/v1/services?service=s05000", "/v1/services/s05000/status", "/v1/status?limit=1", "/v1/status", "/v1/services?limit=10"} {
		b.Run(strings.ReplaceAll(path[1:], "/", "."), func(b *testing.B) {
			began := cpuTime(b)
			for b.Loop() {
				response, err := web.Get("http://lbctl" + path)
				if err != nil {
					b.Fatal(err)
				}
				_, err = io.Copy(io.Discard, response.Body)
				if response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
					b.Fatal(response.Status, err)
				}
			}
			b.ReportMetric(float64(b.N)/(cpuTime(b)-began).Seconds(), "reads/CPU-s")
		})
	}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
