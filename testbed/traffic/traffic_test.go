package traffic_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"lbctl/rss/packet"
	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

var site = replica.Site{Seed: 7, Objects: 16, MinSize: 1, MaxSize: 100_000}

// server is a replica on the loopback that is stopped by stop, which returns its log.
type server struct {
	address netip.AddrPort
	stop    func() []replica.Access
}

// start starts a replica and waits until it listens.
func start(t *testing.T, c replica.Config) server {
	t.Helper()
	c.Listen = freePort(t)
	c.Log = filepath.Join(t.TempDir(), "access")
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- replica.Run(ctx, c, in); _ = in.Close() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != helper.Ready+"\n" {
		t.Fatalf("replica said %q, %v", line, err)
	}
	stop := func() []replica.Access {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
		all, err := journal.Read[replica.Access](c.Log)
		if err != nil {
			t.Error(err)
		}
		return all
	}
	t.Cleanup(func() { stop() })
	return server{address: c.Listen, stop: stop}
}

// freePort returns a port of the loopback on which nothing listens.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// config asks a server for the test's site from two addresses of the loopback.
func config(t *testing.T, s server) traffic.Config {
	return traffic.Config{
		VIP:         s.address,
		Sources:     []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")},
		Connections: 20, RequestsPerConnection: 5, Concurrency: 4,
		Seed: 11, Site: site, Log: filepath.Join(t.TempDir(), "requests"),
	}
}

// run runs clients and returns their log.
func run(t *testing.T, c traffic.Config) []traffic.Request {
	t.Helper()
	if err := traffic.Run(t.Context(), c, strings.NewReader("\n"), io.Discard); err != nil {
		t.Fatal(err)
	}
	all, err := journal.Read[traffic.Request](c.Log)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != c.Total() {
		t.Fatalf("%d requests logged, want %d", len(all), c.Total())
	}
	return all
}

// failed returns the requests with an error.
func failed(all []traffic.Request) []traffic.Request {
	return slices.DeleteFunc(slices.Clone(all), func(r traffic.Request) bool { return r.Err == "" })
}

func TestBothLogsTellTheSame(t *testing.T) {
	s := start(t, replica.Config{Index: 3, Site: site})
	c := config(t, s)
	requests := run(t, c)
	if bad := failed(requests); len(bad) != 0 {
		t.Fatalf("%d failed, the first: %+v", len(bad), bad[0])
	}
	asked, answered := map[replica.Access]int{}, map[replica.Access]int{}
	for _, r := range requests {
		asked[replica.Access{Flow: r.Flow, Object: r.Object, Status: r.Status, Bytes: r.Bytes}]++
		if r.Replica != 3 || r.Flow.Source.Addr() != c.Sources[r.Connection%2] {
			t.Errorf("%+v: want replica 3, source %v", r, c.Sources[r.Connection%2])
		}
	}
	for _, a := range s.stop() {
		answered[a]++
	}
	if diff := cmp.Diff(asked, answered, cmp.Comparer(func(a, b packet.Flow) bool { return a == b })); diff != "" {
		t.Errorf("client's log and replica's log (-asked +answered):\n%s", diff)
	}
}

func TestEachConnectionIsOneFlow(t *testing.T) {
	c := config(t, start(t, replica.Config{Site: site}))
	flows := map[int]packet.Flow{}
	for _, r := range run(t, c) {
		if was, ok := flows[r.Connection]; ok && was != r.Flow {
			t.Errorf("connection %d: %v, then %v", r.Connection, was, r.Flow)
		}
		flows[r.Connection] = r.Flow
	}
	if len(flows) != c.Connections {
		t.Errorf("%d connections, want %d", len(flows), c.Connections)
	}
}

func TestAllObjectsInOrder(t *testing.T) {
	c := config(t, start(t, replica.Config{Site: site}))
	c.Connections, c.AllObjects = 1, true
	for i, r := range run(t, c) {
		if r.Object != i || r.Err != "" || r.Bytes != site.Size(i) {
			t.Errorf("request %d: %+v", i, r)
		}
	}
}

func TestWrongBytesAreSeen(t *testing.T) {
	const wrong = 5
	c := config(t, start(t, replica.Config{Site: site, Wrong: []int{wrong}}))
	c.Connections, c.AllObjects = 2, true
	for _, r := range run(t, c) {
		if (r.Err != "") != (r.Object == wrong) {
			t.Errorf("object %d: %q", r.Object, r.Err)
		}
		if r.Object == wrong && !strings.Contains(r.Err, "sha-256") {
			t.Errorf("error %q does not name the sum", r.Err)
		}
	}
}

func TestUnknownObjectIsAnErrorNotTheEnd(t *testing.T) {
	smaller := site
	smaller.Objects--
	s := start(t, replica.Config{Site: smaller})
	c := config(t, s)
	c.Connections, c.AllObjects = 1, true
	bad := failed(run(t, c))
	if len(bad) != 1 || bad[0].Status != 404 || bad[0].Object != smaller.Objects {
		t.Errorf("failed: %+v; want only object %d, with status 404", bad, smaller.Objects)
	}
}

func TestNobodyListens(t *testing.T) {
	c := config(t, server{address: freePort(t)})
	for _, r := range run(t, c) {
		if !strings.Contains(r.Err, "connection refused") || r.Replica != -1 {
			t.Fatalf("%+v: want refused", r)
		}
	}
}

func TestCancelIsAnErrorAndTheLogIsWhole(t *testing.T) {
	c := config(t, start(t, replica.Config{Site: site}))
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if err := traffic.Run(ctx, c, nil, io.Discard); !errors.Is(err, stop) {
		t.Errorf("error %v, want stop", err)
	}
	all, err := journal.Read[traffic.Request](c.Log)
	if err != nil || len(all) != c.Total() || len(failed(all)) != c.Total() {
		t.Errorf("%d lines, %d failed, %v; want %d", len(all), len(failed(all)), err, c.Total())
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// At the barrier every connection has asked half and is open: the second half comes on the same flows.
func TestBarrierHoldsConnectionsOpen(t *testing.T) {
	c := config(t, start(t, replica.Config{Site: site}))
	c.Barrier, c.Progress = true, 10
	stdinReader, stdin := io.Pipe()
	stdout, stdoutWriter := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- traffic.Run(t.Context(), c, stdinReader, stdoutWriter)
		_ = stdoutWriter.Close()
	}()
	var lines []string
	for scan := bufio.NewScanner(stdout); scan.Scan(); {
		lines = append(lines, scan.Text())
		if scan.Text() == traffic.Half {
			_, _ = io.WriteString(stdin, "go\n")
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	all, err := journal.Read[traffic.Request](c.Log)
	if err != nil || len(all) != 100 || len(failed(all)) != 0 {
		t.Fatalf("%d requests, %d failed, %v", len(all), len(failed(all)), err)
	}
	// 3 of 5 requests on each of 20 connections come before it.
	checkHalves(t, all[:60], all[60:])
	want := "progress 10 100,progress 20 100,progress 30 100,progress 40 100,progress 50 100,progress 60 100," +
		"half,progress 70 100,progress 80 100,progress 90 100,progress 100 100"
	if got := strings.Join(lines, ","); got != want {
		t.Errorf("printed %s\nwant %s", got, want)
	}
}

// checkHalves wants three requests of each connection in the first half and two on the same flow in the second.
func checkHalves(t *testing.T, first, second []traffic.Request) {
	t.Helper()
	type key struct {
		connection int
		flow       string
	}
	before, after := map[key]int{}, map[key]int{}
	for _, r := range first {
		before[key{r.Connection, r.Flow.String()}]++
	}
	for _, r := range second {
		after[key{r.Connection, r.Flow.String()}]++
	}
	for k, n := range before {
		if n != 3 || after[k] != 2 {
			t.Errorf("connection %v: %d and %d requests, want 3 and 2", k, n, after[k])
		}
	}
}

func TestBarrierWithoutALineIsAnError(t *testing.T) {
	c := config(t, start(t, replica.Config{Site: site}))
	c.Barrier = true
	if err := traffic.Run(t.Context(), c, strings.NewReader(""), io.Discard); err == nil {
		t.Error("went on at the end of stdin")
	}
}
