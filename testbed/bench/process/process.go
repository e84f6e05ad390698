// Package process runs the programs of a benchmark inside network namespaces: servers,
// clients and load balancers, each ended by its own process and by nothing wider.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lbctl/testbed/netns"
)

// patience is how long a process may take to end after it was asked to.
const patience = 10 * time.Second

// Process is a running program. Its standard output is read line by line; the last of its standard
// error is kept for the error of its end. Not safe for concurrent use, but for Ended, Kill and Stop.
type Process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
	stderr tail
	ended  chan struct{}
	err    error // valid once ended is closed
	asked  atomic.Bool
	drain  sync.Once
}

// Start starts a command in a namespace. The name stands in errors.
func Start(in *netns.Namespace, name string, command ...string) (*Process, error) {
	return start(in, name, 0, command)
}

// StartFamily is Start for a command that forks: it gets a process id namespace of its own, so that
// with it, however it ends, end those that it forked (nginx's workers outlive a master that was
// killed). /proc does not show it itself.
func StartFamily(in *netns.Namespace, name string, command ...string) (*Process, error) {
	return start(in, name, syscall.CLONE_NEWPID, command)
}

func start(in *netns.Namespace, name string, flags uintptr, command []string) (*Process, error) {
	p := &Process{name: name, cmd: exec.Command(command[0], command[1:]...), ended: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Not StdoutPipe: Wait would close it under the reader.
	read, write := io.Pipe()
	p.cmd.Stdout, p.stdin, p.stdout = write, stdin, bufio.NewScanner(read)
	if err := in.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
		_ = write.Close()
	}()
	return p, nil
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Line returns the next line of standard output. Its error is that of the end.
func (p *Process) Line() (string, error) {
	if p.stdout.Scan() {
		return p.stdout.Text(), nil
	}
	return "", errors.Join(fmt.Errorf("%s has ended", p.name), p.Wait())
}

// Await reads lines until one is want.
func (p *Process) Await(want string) error {
	for {
		line, err := p.Line()
		if err != nil {
			return fmt.Errorf("wait for %q: %w", want, err)
		}
		if line == want {
			return nil
		}
	}
}

// Tell writes a line to standard input.
func (p *Process) Tell(line []byte) error {
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("tell %s: %w", p.name, err)
	}
	return nil
}

// Wait waits for the end and returns its error with the last that was said, nil after Stop or Kill.
func (p *Process) Wait() error {
	p.drain.Do(func() {
		for p.stdout.Scan() { // the writer must never wait for a reader
		}
	})
	<-p.ended
	if p.err == nil || p.asked.Load() {
		return nil
	}
	if said := strings.TrimSpace(p.stderr.String()); said != "" {
		return fmt.Errorf("%s: %w: it said:\n%s", p.name, p.err, said)
	}
	return fmt.Errorf("%s: %w", p.name, p.err)
}

// Kill ends the process at once. Line and Await, if they wait, return.
func (p *Process) Kill() {
	p.asked.Store(true)
	_ = p.cmd.Process.Kill() // fails when it has ended already
}

// Stop asks the process to end, by the end of its input and a signal, and waits; it is killed when it takes too long.
func (p *Process) Stop() error {
	p.asked.Store(true)
	_ = p.stdin.Close() // fails when it has ended already
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, p.Kill)
	defer late.Stop()
	return p.Wait()
}

// End kills the process and waits: for programs that leave nothing behind. HAProxy, as the first process of its
// namespace, does not listen to SIGTERM.
func (p *Process) End() error {
	p.Kill()
	return p.Wait()
}

// Run runs a command in a namespace to its end.
func Run(in *netns.Namespace, name string, command ...string) error {
	p, err := Start(in, name, command...)
	if err != nil {
		return err
	}
	return p.Wait()
}
