package helper

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lbctl/testbed/netns"
)

// Ready is the line that a server prints when it accepts connections.
const Ready = "ready"

// longestLine is the length in bytes of the longest line that a process writes: the report of clients about 20,000
// connections has 4 MB.
const longestLine = 64 << 20

// Process is a running program. Its standard output is read line by line; the last of its standard
// error is kept for the error of its end. Not safe for concurrent use, but for Kill and Stop.
type Process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
	stderr tail
	ended  chan struct{}
	err    error // valid once ended is closed
	// asked and killed tell whether Stop and Kill were called: then the end is no error.
	asked, killed atomic.Bool
	drain         sync.Once
}

// Start starts a command in a namespace. The name stands in errors.
func Start(in *netns.Namespace, name string, command ...string) (*Process, error) {
	return start(in, name, 0, command)
}

// StartFamily is Start for a command that forks: it gets a process id namespace of its own, so that its
// children end with it, however it ends (nginx's workers outlive a master that was
// killed). /proc does not show the command itself.
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
	p.stdout.Buffer(nil, longestLine)
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

// Line returns the next line of standard output. Its error is that of the end.
func (p *Process) Line() (string, error) {
	if p.stdout.Scan() {
		return p.stdout.Text(), nil
	}
	return "", p.end()
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

// Run runs a command in a namespace to its end.
func Run(in *netns.Namespace, name string, command ...string) error {
	p, err := Start(in, name, command...)
	if err != nil {
		return err
	}
	return p.Wait()
}

// again is the time between two calls of ask by Until.
const again = 10 * time.Millisecond

// Until calls ask until it returns nil. It gives up at the end of ctx, after a time, or when over,
// if there is one, returns an error. Its error names what and holds the last one of ask.
func Until(ctx context.Context, within time.Duration, what string, ask func() error, over func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if over != nil {
			if end := over(); end != nil {
				return end
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Memory is the memory of a process, in bytes.
type Memory struct {
	// Resident is what is in RAM now, Peak the most that ever was (VmRSS and VmHWM of proc_pid_status(5)).
	Resident, Peak uint64
	// Tables is what the kernel holds in BPF maps that the process has open (memlock of proc_pid_fdinfo(5)).
	Tables uint64
}

// Memory returns that of the process, which must run.
func (p *Process) Memory() (m Memory, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(p.PID()))
	text, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return m, fmt.Errorf("read memory of %s: %w", p.name, err)
	}
	m.Resident, m.Peak = field(text, "VmRSS")<<10, field(text, "VmHWM")<<10
	open, err := filepath.Glob(filepath.Join(proc, "fdinfo", "*"))
	if err != nil {
		return m, fmt.Errorf("list files of %s: %w", p.name, err)
	}
	seen := map[uint64]bool{}
	for _, file := range open {
		text, err := os.ReadFile(file)
		if id := field(text, "map_id"); err == nil && id != 0 && !seen[id] { // it may be closed by now
			seen[id] = true
			m.Tables += field(text, "memlock")
		}
	}
	return m, nil
}

// field returns the number in the line of a name, 0 if there is none.
func field(text []byte, name string) uint64 {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		found, rest, ok := strings.Cut(lines.Text(), ":")
		if words := strings.Fields(rest); ok && found == name && len(words) > 0 {
			n, _ := strconv.ParseUint(words[0], 10, 64)
			return n
		}
	}
	return 0
}
