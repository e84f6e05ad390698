package flood

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// batch is how many frames a system call sends: as many as a driver takes from its ring in one go (NAPI_POLL_WEIGHT).
const batch = 64

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	unix.Msghdr
	length uint32
}

// socket is an AF_PACKET socket that only sends. One goroutine at a time.
type socket struct {
	fd       int
	frames   [batch][frameLength]byte
	vectors  [batch]unix.Iovec
	messages [batch]message
}

// openSocket binds a socket to a link, to no protocol: it receives nothing.
func openSocket(l netns.Link) (*socket, error) {
	s := &socket{fd: -1}
	err := l.Namespace().Do(func() (err error) {
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
			return fmt.Errorf("bind packet socket to %s: %w", l.Name, err)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for i := range batch {
		s.vectors[i].Base = &s.frames[i][0]
		s.vectors[i].SetLen(frameLength)
		s.messages[i].Iov, s.messages[i].Iovlen = &s.vectors[i], 1
	}
	return s, nil
}

// frame returns where frame i of the next batch is written.
func (s *socket) frame(i int) []byte { return s.frames[i][:] }

// send sends the first n frames and returns how many of them were taken; less than all is an
// error, but where it is only for now: then none or some were.
func (s *socket) send(n int) (int, error) {
	taken, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[0])), uintptr(n), 0, 0, 0)
	runtime.KeepAlive(s)
	switch errno {
	case 0:
		return int(taken), nil
	case unix.EINTR, unix.EAGAIN, unix.ENOBUFS: // a signal, or the link's queue is full
		return 0, nil
	}
	return 0, fmt.Errorf("sendmmsg: %w", errno)
}

func (s *socket) close() error {
	if s.fd < 0 {
		return nil
	}
	return unix.Close(s.fd)
}
