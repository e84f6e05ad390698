package kv

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCut: commands are found wherever the bytes were cut on their way, and nothing else is taken.
func TestCut(t *testing.T) {
	stream := "version\r\nset key-7 0 0 4\r\n\r\n\r\n\r\nget key-7\r\n"
	for at := range stream {
		var got []string
		var received []byte
		for _, part := range []string{stream[:at], stream[at:]} {
			received = append(received, part...)
			for {
				c, rest, complete, err := cut(received)
				check(t, err)
				if !complete {
					break
				}
				got = append(got, fmt.Sprintf("%s %d %q", c.verb, c.number(), c.value))
				received = slices.Clone(rest)
			}
		}
		if want := []string{`version -1 ""`, `set 7 "\r\n\r\n"`, `get 7 ""`}; !slices.Equal(got, want) {
			t.Errorf("cut at %d: %v, want %v", at, got, want)
		}
	}
	for _, bad := range []string{"\r\n", "get\r\n", "gets a\r\n", "set a 0 0 -1\r\n", "set a 0 0 5000\r\n", "set a 0 0 x\r\n", strings.Repeat("x", longest+1)} {
		if _, _, complete, err := cut([]byte(bad)); err == nil || complete {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestPlan: each key comes over as many different connections as it should, all of its class, and is put once.
func TestPlan(t *testing.T) {
	for _, classes := range []int{0, 1, 3} {
		p := Plan{Connections: 30, Keys: 20, Times: 5, Classes: classes, Seed: 4}
		check(t, p.Validate())
		got, put := make([]int, p.Keys), make([]int, p.Keys)
		for i, steps := range p.Steps() {
			seen := map[Step]bool{}
			for _, s := range steps {
				if seen[s] || s.Key%p.classes() != i%p.classes() {
					t.Errorf("%d classes, connection %d: %+v twice, or of another class", classes, i, s)
				}
				seen[s] = true
				if s.Put {
					put[s.Key]++
				} else {
					got[s.Key]++
				}
			}
		}
		for key := range p.Keys {
			if got[key] != 5 || put[key] != 1 {
				t.Errorf("%d classes: key %d is got %d times and put %d times", classes, key, got[key], put[key])
			}
		}
	}
	for _, bad := range []Plan{{Connections: 30, Keys: 1, Times: 11, Classes: 3}, {Connections: 3, Times: 1}, {Connections: 3, Keys: 1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// start serves with our store at a free port of the loopback until the result is called, which returns its log.
func start(t *testing.T, c Config) (at netip.AddrPort, stop func() []Served) {
	t.Helper()
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	at = free.Addr().(*net.TCPAddr).AddrPort()
	check(t, free.Close())
	var set unix.CPUSet
	check(t, unix.SchedGetaffinity(0, &set))
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			c.Cores = append(c.Cores, cpu)
		}
	}
	c.Listen, c.Log = at, filepath.Join(t.TempDir(), "store")
	ctx, end := context.WithCancel(t.Context())
	ready, said := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, c, said) }()
	line := make([]byte, len(helper.Ready)+1)
	_, err = io.ReadFull(ready, line)
	check(t, err)
	return at, func() []Served {
		t.Helper()
		end()
		check(t, <-served)
		log, err := journal.Read[Served](c.Log)
		check(t, err)
		return log
	}
}

// request runs clients from the loopback and returns their log. At the barrier half is called.
func request(t *testing.T, at netip.AddrPort, half func()) []Request {
	t.Helper()
	c := Clients{
		VIP: at, Plan: Plan{Connections: 16, Keys: 10, Times: 4, Seed: 3}, Concurrency: 4, Timeout: time.Minute, Log: filepath.Join(t.TempDir(), "clients"),
	}
	for range c.Plan.Connections {
		c.Sources = append(c.Sources, netip.AddrPortFrom(at.Addr(), 0))
	}
	stdin, orders := io.Pipe()
	lines, stdout := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), c, stdin, stdout) }()
	line := make([]byte, len(Half)+1)
	_, err := io.ReadFull(lines, line)
	check(t, err)
	half()
	_, err = io.WriteString(orders, "go\n")
	check(t, err)
	check(t, <-done)
	log, err := journal.Read[Request](c.Log)
	check(t, err)
	return log
}

// TestStore: both ways to accept serve every request; threads take turns, or serve where packets come.
func TestStore(t *testing.T) {
	for _, perCore := range []bool{false, true} {
		at, stop := start(t, Config{PerCore: perCore})
		conn, err := net.Dial("tcp4", at.String())
		check(t, err)
		check(t, Fill(conn, 0, 10))
		check(t, conn.Close())
		for _, r := range request(t, at, func() {}) {
			if r.Err != "" {
				t.Errorf("per core %v: %+v", perCore, r)
			}
		}
		log := stop()
		if want := 10 + 16 + 10*5; len(log) != want {
			t.Errorf("per core %v: %d requests in the store's log, want %d", perCore, len(log), want)
		}
		threads := map[netip.AddrPort]map[int]bool{}
		for _, s := range log {
			if threads[s.Flow.Source] == nil {
				threads[s.Flow.Source] = map[int]bool{}
			}
			threads[s.Flow.Source][s.Thread] = true
		}
		for client, set := range threads {
			if len(set) != 1 {
				t.Errorf("per core %v: the connection of %v was served by threads %v", perCore, client, set)
			}
		}
	}
}

// TestWrong: a value with a byte changed is noticed, and only of its key.
func TestWrong(t *testing.T) {
	at, stop := start(t, Config{Wrong: []int{0}})
	conn, err := net.Dial("tcp4", at.String())
	check(t, err)
	check(t, Fill(conn, 0, 10))
	check(t, conn.Close())
	wrong, first := 0, map[int]bool{}
	for _, r := range request(t, at, func() {}) {
		if r.Err != "" && !first[r.Connection] {
			first[r.Connection] = true
			wrong++
			if r.Key != 0 || r.Put {
				t.Errorf("the first failure of connection %d: %+v", r.Connection, r)
			}
		}
	}
	if wrong != 4 {
		t.Errorf("%d connections noticed, want 4", wrong)
	}
	stop()
}

// TestProcFiles: what /proc says is read as the kernel writes it.
func TestProcFiles(t *testing.T) {
	fds := targets([]byte("pos:\t0\nflags:\t02\ntfd:       31 events:       19 data: 7f  pos:0 ino:1 sdev:9\ntfd:  8 events: 1\n"))
	if !slices.Equal(fds, []int{31, 8}) {
		t.Errorf("targets %v", fds)
	}
	if a, err := endpoint("0100007F:1F90"); err != nil || a != netip.MustParseAddrPort("127.0.0.1:8080") { // on a little-endian machine
		t.Errorf("endpoint %v, %v", a, err)
	}
	for _, bad := range []string{"", "0100007F", "00:1", "0100007F:1F90F"} {
		if _, err := endpoint(bad); err == nil {
			t.Errorf("%q is an endpoint", bad)
		}
	}
}
