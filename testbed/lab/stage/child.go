package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"lbctl/testbed/netns"
)

// patience is how long a child may take to end after it was asked to.
const patience = 10 * time.Second

// longestLine is the length in bytes of the longest line that a child says: the report of clients about 20,000 connections has 4 MB.
const longestLine = 64 << 20

// child is a process inside a namespace. Its standard output is read line by line; the
// last of its standard error is kept for the error of its end.
type child struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
	stderr *tail
	ended  chan struct{}
	err    error // valid once ended is closed
	// asked is set by stop: then a death by our signal, or by the context's end, is no error.
	mu    sync.Mutex
	asked bool
	drain sync.Once
}

// start starts the lbctl binary in a namespace. It ends, by SIGTERM first, when ctx does.
func (s *Stage) start(ctx context.Context, name string, in *netns.Namespace, args ...string) (*child, error) {
	c := &child{name: name, stderr: &tail{}, ended: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, s.config.Program, args...)
	c.cmd.Stderr = c.stderr
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = patience
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Not StdoutPipe: Wait would close it under the reader.
	read, write := io.Pipe()
	c.cmd.Stdout, c.stdin = write, stdin
	c.stdout = bufio.NewScanner(read)
	c.stdout.Buffer(nil, longestLine)
	if err := in.Start(c.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		if state := c.cmd.ProcessState; state != nil {
			s.config.Log.Debug("ended", "process", name, "user", state.UserTime(), "system", state.SystemTime())
		}
		close(c.ended)
		_ = write.Close()
	}()
	return c, nil
}

// line returns the next line of standard output, false at its end.
func (c *child) line() (string, bool) {
	ok := c.stdout.Scan()
	return c.stdout.Text(), ok
}

// await reads lines until one is want. It is an error when the child ends before.
func (c *child) await(want string) error {
	for {
		line, ok := c.line()
		if !ok {
			return errors.Join(fmt.Errorf("%s ended before it said %q", c.name, want), c.wait())
		}
		if line == want {
			return nil
		}
	}
}

// wait waits for the end and returns the child's error, with the last it said.
func (c *child) wait() error {
	c.drain.Do(func() {
		for c.stdout.Scan() { // the writer must never wait for a reader
		}
	})
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || c.asked && (killedBy(c.err, syscall.SIGTERM) || errors.Is(c.err, context.Canceled)) {
		return nil
	}
	if said := strings.TrimSpace(c.stderr.String()); said != "" {
		return fmt.Errorf("%s: %w: it said:\n%s", c.name, c.err, said)
	}
	return fmt.Errorf("%s: %w", c.name, c.err)
}

// stop asks the child to end, and waits; it is killed when it takes too long.
func (c *child) stop() error {
	c.mu.Lock()
	c.asked = true
	c.mu.Unlock()
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended already
	late := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	return c.wait()
}

func killedBy(err error, signal syscall.Signal) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == signal
}

// tail keeps the last of what is written to it. Safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// tailSize is how many bytes are kept.
const tailSize = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
