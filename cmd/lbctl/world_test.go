package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/control/config"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// world is a directory with a daemon in it, over a datapath in memory.
type world struct {
	t      *testing.T
	dir    string
	kernel memoryKernel
	// clock is that of the commands.
	clock clock
	// real makes it a daemon over the kernel's datapath.
	real bool
	// stop ends the daemon and returns its exit code.
	stop func() int
	log  *log
}

// memoryKernel is a kernel in memory; closing a datapath leaves what it forwards.
type memoryKernel struct {
	memory *oracle.Memory
	err    error
}

func (k memoryKernel) open(context.Context, string, config.Datapath, *slog.Logger) (lb.Dataplane, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.memory.Reopen(), nil
}

func (k memoryKernel) purge(string) error { return k.err }

// log is what a daemon writes on stderr.
type log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
	once  sync.Once
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(p, []byte("msg=ready")) {
		l.once.Do(func() { close(l.ready) })
	}
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newWorld makes a directory without a daemon.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	links := map[string]int{"eth0": 2, "eth1": 3}
	return &world{t: t, dir: dir, kernel: memoryKernel{memory: oracle.New(oracle.Config{Interfaces: links})}}
}

// environment is one in which args are run.
func (w *world) environment(ctx context.Context, args ...string) environment {
	var k kernel = w.kernel
	if w.real {
		k = xdp{}
	}
	return environment{
		ctx: ctx, args: args, stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard,
		kernel: k, clock: w.clock,
		getenv: func(name string) string {
			if name == "LBCTL_SOCKET" {
				return w.path("s")
			}
			return ""
		},
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// write makes a file and returns its path.
func (w *world) write(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}

// run runs a command and returns what it did.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	// A command that hangs fails its test, and does not hang it.
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	env := w.environment(ctx, args...)
	env.stdout, env.stderr = &out, &errs
	code = run(env)
	return code, w.tidy(out.String()), w.tidy(errs.String())
}

// tidy replaces the directory, which is another one every time.
func (w *world) tidy(s string) string { return strings.ReplaceAll(s, w.dir, "DIR") }

// ok runs a command that must succeed, and returns its stdout.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	code, stdout, stderr := w.run(args...)
	if code != exitDone || stderr != "" {
		w.t.Fatalf("lbctl %s: exit %d, stderr %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// serve starts the daemon and waits until it is ready.
func (w *world) serve(args ...string) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.log = &log{ready: make(chan struct{})}
	env := w.environment(ctx, append([]string{"serve", "--state-dir", w.path("state")}, args...)...)
	env.stderr = w.log
	code := make(chan int, 1)
	go func() { code <- run(env) }()
	w.stop = sync.OnceValue(func() int { cancel(); return <-code })
	w.t.Cleanup(func() { w.stop() })
	select {
	case <-w.log.ready:
	case c := <-code:
		code <- c
		w.t.Fatalf("serve ended with %d: %s", c, w.log)
	}
}

const web = `interfaces:
  - name: eth0
services:
  - name: web
    vip: 192.0.2.1:80
    replicas:
      - {address: 10.0.0.1:8080}
      - {address: 10.0.0.2:8080}
  - name: dns
    vip: "[2001:db8::1]:53"
    protocol: udp
    scheduler: maglev
    table_size: 251
    hash: toeplitz
    replicas:
      - {address: "[2001:db8:1::1]:53", weight: 3}
`
