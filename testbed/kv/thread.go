package kv

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/rss/packet"
)

// anyCore is the core of a thread that may run on every one.
const anyCore = -1

// thread is an operating system's thread with an event loop of its own (epoll(7)).
type thread struct {
	store        *store
	number, core int
	epoll        int
	// listener is 0 if the thread does not accept; those that it accepts for take turns.
	listener int
	workers  []*thread
	accepted int

	mu    sync.Mutex // guards conns
	conns map[int]*conn
}

// conn is a client's connection. Only its thread reads it.
type conn struct {
	fd       int
	flow     packet.Flow
	received []byte
}

func newThread(s *store, number, core int) (*thread, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make epoll: %w", err)
	}
	t := &thread{store: s, number: number, core: core, epoll: epoll, conns: map[int]*conn{}}
	return t, t.watch(s.over)
}

// watch adds a descriptor to the event loop.
func (t *thread) watch(fd int) error {
	if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// listen makes a listening socket, of those connections whose SYN comes on a core where one is given.
func (t *thread) listen(workers []*thread, core int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make listener: %w", err)
	}
	t.listener, t.workers = fd, workers
	at := t.store.config.Listen
	errs := []error{unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)}
	if core != anyCore {
		errs = append(errs, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_INCOMING_CPU, core))
	}
	errs = append(errs, unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}), unix.Listen(fd, 4096), t.watch(fd))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("listen at %v: %w", at, err)
	}
	return nil
}

func (t *thread) close() {
	for _, c := range t.conns {
		_ = unix.Close(c.fd)
	}
	if t.listener != 0 {
		_ = unix.Close(t.listener)
	}
	_ = unix.Close(t.epoll)
}

// run serves until the store is over.
func (t *thread) run() error {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	if t.core != anyCore {
		var set unix.CPUSet
		set.Set(t.core)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("run thread %d on core %d: %w", t.number, t.core, err)
		}
	}
	for events := make([]unix.EpollEvent, 64); ; {
		n, err := unix.EpollWait(t.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); fd {
			case t.store.over:
				return nil
			case t.listener:
				err = t.accept()
			default:
				err = t.serve(fd)
			}
			if err != nil {
				return err
			}
		}
	}
}

// accept hands a connection to the thread whose turn it is.
func (t *thread) accept() error {
	fd, from, err := unix.Accept4(t.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ECONNABORTED) {
		return nil
	}
	client, ok := from.(*unix.SockaddrInet4)
	if err != nil || !ok {
		return fmt.Errorf("accept from %v: %w", from, err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	to := t.workers[t.accepted%len(t.workers)]
	t.accepted++
	to.mu.Lock()
	to.conns[fd] = &conn{fd: fd, flow: packet.Flow{
		Source:      netip.AddrPortFrom(netip.AddrFrom4(client.Addr), uint16(client.Port)),
		Destination: t.store.config.Listen, Protocol: packet.TCP,
	}}
	to.mu.Unlock()
	return to.watch(fd)
}

// serve reads from a connection and answers what is complete. A client that breaks the protocol, or went away, loses its
// connection.
func (t *thread) serve(fd int) error {
	t.mu.Lock()
	c := t.conns[fd]
	t.mu.Unlock()
	if c == nil || t.exchange(c) {
		return nil
	}
	t.mu.Lock()
	delete(t.conns, fd)
	t.mu.Unlock()
	return unix.Close(fd)
}

// exchange tells whether the connection goes on.
func (t *thread) exchange(c *conn) bool {
	buffer := make([]byte, longest)
	n, err := unix.Read(c.fd, buffer)
	if errors.Is(err, unix.EAGAIN) {
		return true
	}
	if err != nil || n == 0 {
		return false
	}
	c.received = append(c.received, buffer[:n]...)
	for {
		command, rest, complete, err := cut(c.received)
		if err != nil || !complete {
			return err == nil
		}
		if !t.reply(c, command) {
			return false
		}
		c.received = append(c.received[:0], rest...)
	}
}

// reply logs a request and answers it. An answer is shorter than what an empty socket takes.
func (t *thread) reply(c *conn, request command) bool {
	softirq, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_INCOMING_CPU)
	if err != nil {
		return false
	}
	core, err := getcpu()
	if err != nil {
		return false
	}
	t.store.log.Append(Served{
		Flow: c.flow, Key: request.number(), Put: request.verb == "set", Thread: t.number, Core: core, Softirq: softirq,
	})
	answer := t.store.answer(request)
	n, err := unix.Write(c.fd, answer)
	return err == nil && n == len(answer)
}

// getcpu returns the core that the calling thread runs on.
func getcpu() (int, error) {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return 0, fmt.Errorf("ask for the core: %w", errno)
	}
	return int(cpu), nil
}
