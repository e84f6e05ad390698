package helper

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a process may take to end after it was asked to.
const patience = 10 * time.Second

// Over returns an error that says how the process ended, nil while it lives.
func (p *Process) Over() error {
	select {
	case <-p.ended:
		return p.end()
	default:
		return nil
	}
}

func (p *Process) end() error { return errors.Join(fmt.Errorf("%s has ended", p.name), p.Wait()) }

// Wait waits for the end and returns its error, with the end of standard error; nil if Kill, or the signal of Stop, ended
// the process.
func (p *Process) Wait() error {
	p.drain.Do(func() {
		for p.stdout.Scan() { // the writer must never wait for a reader
		}
	})
	<-p.ended
	if p.err == nil || p.killed.Load() || p.asked.Load() && killedBy(p.err, syscall.SIGTERM) {
		return nil
	}
	if said := strings.TrimSpace(p.stderr.String()); said != "" {
		return fmt.Errorf("%s: %w: it said:\n%s", p.name, p.err, said)
	}
	return fmt.Errorf("%s: %w", p.name, p.err)
}

// Kill ends the process at once. Line and Await, if they wait, return.
func (p *Process) Kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // fails when it has ended already
}

// Stop asks the process to end, by the end of its input and a signal, and waits; it is killed when it takes too long,
// which is an error as is any code but 0.
func (p *Process) Stop() error {
	p.asked.Store(true)
	_ = p.stdin.Close() // fails when it has ended already
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	return p.Wait()
}

func killedBy(err error, signal syscall.Signal) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == signal
}

// End kills the process and waits: for programs that leave nothing behind. HAProxy ignores SIGTERM when it is the
// first process of its pid namespace.
func (p *Process) End() error {
	p.Kill()
	return p.Wait()
}

// tailSize is how many bytes a tail keeps.
const tailSize = 4 << 10

// tail keeps the last of what is written to it. Safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

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
