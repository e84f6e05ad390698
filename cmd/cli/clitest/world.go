// Package clitest runs commands of lbctl in tests, with a daemon over a datapath in memory or over the kernel's.
package clitest

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

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// World is a directory with a daemon in it, over a datapath in memory.
type World struct {
	T        *testing.T
	commands Commands
	// Dir is replaced by DIR in what commands print.
	Dir string
	// Memory is the datapath. Refuse, unless nil, is the error of opening it.
	Memory *oracle.Datapath
	Refuse error
	// Kernel, unless nil, is used in place of Memory.
	Kernel cli.Kernel
	// NICs are those of this machine, unless a test replaces them.
	NICs cli.Interfaces
	// Stdin is what a command reads on standard input.
	Stdin string
	// Env are environment variables of the commands, beside LBCTL_SOCKET.
	Env map[string]string
	// Clock is that of the commands.
	Clock cli.Clock
	// Stop ends the daemon and returns its exit code.
	Stop func() int
	// Log is what the daemon wrote on stderr.
	Log *log
}

// Commands makes the commands that a test may run.
type Commands func(*cli.App) []*cobra.Command

// memoryKernel is a kernel in memory. It goes on forwarding after its datapath is closed.
type memoryKernel struct {
	memory *oracle.Datapath
	err    error
}

func (k memoryKernel) Open(context.Context, cli.Pins, intent.Datapath, []lb.Service, *slog.Logger) (lb.Dataplane, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.memory.Reopen(), nil
}

func (memoryKernel) Check() error { return nil }

func (memoryKernel) Limits(string) (lb.Limits, bool, error) { return lb.Limits{}, false, nil }

func (k memoryKernel) Purge(string) ([]string, error) { return nil, k.err }

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

// New makes a directory without a daemon.
func New(t *testing.T, commands Commands) *World {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	links := map[string]int{"eth0": 2, "eth1": 3}
	return &World{T: t, commands: commands, Dir: dir, Memory: oracle.New(oracle.Config{Interfaces: links}), NICs: cli.RealInterfaces()}
}

// Environment returns one to run args in.
func (w *World) Environment(ctx context.Context, args ...string) cli.Environment {
	var k cli.Kernel = memoryKernel{w.Memory, w.Refuse}
	if w.Kernel != nil {
		k = w.Kernel
	}
	return cli.Environment{
		Context: ctx, Args: args, Stdin: strings.NewReader(w.Stdin), Stdout: io.Discard, Stderr: io.Discard,
		Kernel: k, NICs: w.NICs, Clock: w.Clock,
		Getenv: func(name string) string {
			if name == "LBCTL_SOCKET" {
				return w.Path("s")
			}
			return w.Env[name]
		},
	}
}

// Path returns the path of a name in the directory.
func (w *World) Path(name string) string { return filepath.Join(w.Dir, name) }

// Write makes a file and returns its path.
func (w *World) Write(name, text string) string {
	w.T.Helper()
	if err := os.WriteFile(w.Path(name), []byte(text), 0o600); err != nil {
		w.T.Fatal(err)
	}
	return w.Path(name)
}

// RunIn runs the command of an environment and returns its exit code.
func (w *World) RunIn(env cli.Environment) int { return cli.Run(env, w.commands) }

// Run runs a command and returns its exit code and what it printed.
func (w *World) Run(args ...string) (code int, stdout, stderr string) {
	w.T.Helper()
	var out, errs bytes.Buffer
	// A command that hangs shall fail its test, not hang it.
	ctx, cancel := context.WithTimeout(w.T.Context(), time.Minute)
	defer cancel()
	env := w.Environment(ctx, args...)
	env.Stdout, env.Stderr = &out, &errs
	code = w.RunIn(env)
	return code, w.tidy(out.String()), w.tidy(errs.String())
}

// Line returns the words of a line, with the directory in place of DIR.
func (w *World) Line(line string) []string { return w.args(strings.Fields(line)) }

func (w *World) args(words []string) []string {
	args := make([]string, len(words))
	for i, word := range words {
		args[i] = strings.ReplaceAll(word, "DIR", w.Dir)
	}
	return args
}

// Fed runs a command with something on standard input.
func (w *World) Fed(in string, args ...string) (code int, stdout, stderr string) {
	w.T.Helper()
	w.Stdin = in
	return w.Run(args...)
}

// Refused runs the words of a line as RefusedArgs does.
func (w *World) Refused(line string, code int, what, hint string) {
	w.T.Helper()
	w.RefusedArgs(strings.Fields(line), code, what, hint)
}

// RefusedArgs runs a command, which must fail with this exit code and these two lines on stderr, and print nothing on stdout.
// DIR in an argument stands for the directory.
func (w *World) RefusedArgs(args []string, code int, what, hint string) {
	w.T.Helper()
	got, stdout, stderr := w.Run(w.args(args)...)
	if want := "lbctl: " + what + "\n  " + hint + "\n"; got != code || stderr != want || stdout != "" {
		w.T.Errorf("lbctl %s: exit %d, want %d; stdout %q, stderr\n%swant\n%s", strings.Join(args, " "), got, code, stdout, stderr, want)
	}
}

// tidy replaces the name of the directory, which is random.
func (w *World) tidy(s string) string { return strings.ReplaceAll(s, w.Dir, "DIR") }

// OK runs a command that must succeed, and returns its stdout.
func (w *World) OK(args ...string) string {
	w.T.Helper()
	code, stdout, stderr := w.Run(args...)
	if code != cli.ExitDone || stderr != "" {
		w.T.Fatalf("lbctl %s: exit %d, stderr %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// Serve starts the daemon and waits until it is ready.
func (w *World) Serve(args ...string) {
	w.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.Log = &log{ready: make(chan struct{})}
	env := w.Environment(ctx, append([]string{"serve", "--state-dir", w.Path("state")}, args...)...)
	env.Stderr = w.Log
	code := make(chan int, 1)
	go func() { code <- w.RunIn(env) }()
	w.Stop = sync.OnceValue(func() int { cancel(); return <-code })
	w.T.Cleanup(func() { w.Stop() })
	select {
	case <-w.Log.ready:
	case c := <-code:
		code <- c
		w.T.Fatalf("serve ended with %d: %s", c, w.Log)
	}
}

// WebConfig is a configuration with two services.
const WebConfig = `interfaces:
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
