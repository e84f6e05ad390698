package oneport

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"lbctl/testbed/disk"
	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
)

// Design is how several processes serve one port.
type Design string

// The designs. In the first four each process has an event loop and reads from the disk in it; they differ in how it
// gets connections: it accepts from a listening socket that all have inherited, it is handed accepted ones through a unix
// socket from which all receive, or through one of its own, in turn, or it has a listening socket of its own on the port
// (SO_REUSEPORT). In the last one a single process has all connections, and the others read from the disk for it.
const (
	Shared    Design = "shared socket"
	Passed    Design = "passed sockets"
	InTurn    Design = "passed in turn"
	ReusePort Design = "SO_REUSEPORT"
	Workers   Design = "disk workers"
)

type masterConfig struct {
	Design    Design `json:"design"`
	Processes int    `json:"processes"`
	Port      int    `json:"port"`
	// Stuck is a file of which a read waits.
	Stuck string `json:"stuck"`
}

// Master is the process that starts the others. Each of all of them prints a line, its number, when it is ready.
func Master() helper.Helper[masterConfig] {
	return helper.Helper[masterConfig]{Name: "oneport-master", Run: func(ctx context.Context, c masterConfig, _ io.Reader, stdout io.Writer) error {
		return c.run(ctx, stdout)
	}}
}

type workerConfig struct {
	masterConfig
	// Inherited tells that descriptor 3 is a listening socket, or the unix socket, of the design.
	Inherited bool `json:"inherited"`
}

// Worker is one of the processes that a master starts.
func Worker() helper.Helper[workerConfig] {
	return helper.Helper[workerConfig]{Name: "oneport-worker", Run: func(_ context.Context, c workerConfig, _ io.Reader, stdout io.Writer) error {
		return c.run(stdout)
	}}
}

// inherited is the first descriptor that a started process has beside the standard ones.
const inherited = 3

// A request is one byte, an answer two numbers: the process that gives it, and the time on CLOCK_MONOTONIC.
const (
	fast       = 'f' // needs no disk: the file is in memory
	stuck      = 's' // reads from the disk
	answerSize = 16
)

// backlog is longer than any number of connections that wait.
const backlog = 1 << 15

// run starts the workers and does the master's part of the design, until ctx ends.
func (c masterConfig) run(ctx context.Context, stdout io.Writer) error {
	runtime.LockOSThread() // the workers die with this thread
	listener, ours, files, err := c.sockets()
	if err != nil {
		return err
	}
	var all []*exec.Cmd
	for i := range c.Processes {
		w := workerConfig{masterConfig: c}
		var give []*os.File
		if len(files) > 0 {
			w.Inherited, give = true, files[i%len(files):][:1]
		}
		text, err := json.Marshal(w)
		if err != nil {
			return err
		}
		cmd := exec.Command("/proc/self/exe", helper.Command, Worker().Name, string(text))
		cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = give, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start worker: %w", err)
		}
		all = append(all, cmd)
	}
	for _, f := range files {
		_ = f.Close() // the workers have it
	}
	fmt.Fprintln(stdout, os.Getpid())
	go func() {
		<-ctx.Done()
		for _, cmd := range all {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		os.Exit(0)
	}()
	switch c.Design {
	case Passed, InTurn:
		return pass(listener, ours)
	case Workers:
		return c.loop(listener, ours[0])
	}
	select {} // the workers do all
}

// sockets opens what the design needs: a listening socket, the master's ends of unix sockets, and what workers inherit.
func (c masterConfig) sockets() (listener int, ours []int, give []*os.File, err error) {
	if c.Design == ReusePort {
		return -1, nil, nil, nil
	}
	if listener, err = listen(c.Port, false); err != nil {
		return -1, nil, nil, err
	}
	if c.Design == Shared {
		return listener, nil, []*os.File{os.NewFile(uintptr(listener), "listener")}, nil
	}
	pairs := 1
	if c.Design == InTurn {
		pairs = c.Processes
	}
	for range pairs {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, nil, nil, fmt.Errorf("make unix sockets: %w", err)
		}
		ours, give = append(ours, pair[0]), append(give, os.NewFile(uintptr(pair[1]), "unix socket"))
	}
	return listener, ours, give, nil
}

func listen(port int, reuse bool) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	if reuse {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err := errors.Join(err, unix.Bind(fd, &unix.SockaddrInet4{Port: port}), unix.Listen(fd, backlog)); err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	return fd, nil
}

// pass accepts connections and hands each over: to whoever receives first where there is one socket, else in turn.
func pass(listener int, to []int) error {
	if err := unix.SetNonblock(listener, false); err != nil {
		return err
	}
	for next := 0; ; next = (next + 1) % len(to) {
		connection, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		if err := unix.Sendmsg(to[next], []byte{0}, unix.UnixRights(connection), nil, 0); err != nil {
			return fmt.Errorf("pass connection: %w", err)
		}
		if err := unix.Close(connection); err != nil {
			return err
		}
	}
}

// run does a worker's part of the design.
func (c workerConfig) run(stdout io.Writer) error {
	runtime.LockOSThread()
	listener, end := -1, -1
	switch {
	case c.Design == ReusePort:
		var err error
		if listener, err = listen(c.Port, true); err != nil {
			return err
		}
	case c.Design == Shared:
		listener = inherited
		if err := unix.SetNonblock(listener, true); err != nil { // starting a process may have changed it
			return err
		}
	default:
		end = inherited
	}
	fmt.Fprintln(stdout, os.Getpid())
	if c.Design == Workers {
		return c.read(end)
	}
	return c.loop(listener, end)
}

// read takes one job after the other from the unix socket, reads from the disk, and says so.
func (c workerConfig) read(end int) error {
	var job [8]byte
	for {
		if _, err := unix.Read(end, job[:]); err != nil {
			return fmt.Errorf("read job: %w", err)
		}
		if err := disk.Read(c.Stuck); err != nil {
			return err
		}
		if _, err := unix.Write(end, job[:]); err != nil {
			return fmt.Errorf("write answer to job: %w", err)
		}
	}
}

// loop is an event loop: listener has new connections, end is a unix socket of the design; -1: there is none.
func (c masterConfig) loop(listener, end int) error {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make epoll: %w", err)
	}
	watch := func(fd int, events uint32) error {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | events, Fd: int32(fd)})
	}
	for _, fd := range []int{listener, end} {
		if fd >= 0 {
			// Of several processes that wait for one socket the kernel wakes one, or some, not all.
			if err := watch(fd, unix.EPOLLEXCLUSIVE); err != nil {
				return fmt.Errorf("watch socket: %w", err)
			}
		}
	}
	// One event at a time: what a process has not taken, another one can take while it blocks.
	var events [1]unix.EpollEvent
	for {
		n, err := unix.EpollWait(epoll, events[:], -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for events: %w", err)
		}
		for _, e := range events[:n] {
			fd, connection := int(e.Fd), -1
			switch {
			case fd == listener:
				connection, _, err = unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			case fd == end && c.Design == Workers:
				err = done(fd)
			case fd == end:
				connection, err = receive(fd)
			default:
				err = c.serve(fd, end)
			}
			if err == nil && connection >= 0 {
				err = watch(connection, 0)
			}
			if err != nil && !errors.Is(err, unix.EAGAIN) { // another process was faster
				return err
			}
		}
	}
}

// receive takes a connection that was passed.
func receive(end int) (int, error) {
	var data [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(end, data[:], oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return -1, errors.Join(fmt.Errorf("receive connection: %d messages", len(messages)), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.Join(fmt.Errorf("receive connection: %d descriptors", len(fds)), err)
	}
	return fds[0], nil
}

// serve answers a request, or closes the connection if the client has.
func (c masterConfig) serve(connection, end int) error {
	var request [1]byte
	n, err := unix.Read(connection, request[:])
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if n <= 0 {
		return unix.Close(connection)
	}
	switch {
	case request[0] == fast:
	case c.Design == Workers:
		_, err := unix.Write(end, binary.NativeEndian.AppendUint64(nil, uint64(connection)))
		return err
	default:
		if err := disk.Read(c.Stuck); err != nil {
			return err
		}
	}
	return reply(connection)
}

// done answers the request whose file a disk worker has read.
func done(end int) error {
	var job [8]byte
	n, err := unix.Read(end, job[:])
	if err != nil {
		return err
	}
	if n == 0 {
		select {} // the workers have been ended, as this process will be
	}
	return reply(int(binary.NativeEndian.Uint64(job[:])))
}

func reply(connection int) error {
	answer := binary.NativeEndian.AppendUint64(nil, uint64(os.Getpid()))
	answer = binary.NativeEndian.AppendUint64(answer, uint64(measure.Monotonic()))
	if _, err := unix.Write(connection, answer); err != nil && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
