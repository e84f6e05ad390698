package capture

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
	"lbctl/testbed/packetring"
)

// snapLength is how many bytes of a packet are kept: enough for all headers.
const snapLength = 128

// socket is an AF_PACKET socket with its ring. After openSocket, read is for one
// goroutine, detach for another.
type socket struct {
	fd   int
	link netns.Link
	ring *packetring.Ring
	// wake is an eventfd that tells the reader to look at goal.
	wake int
	// goal is, once the socket is detached, how many packets there are to read in all.
	goal atomic.Int64
}

// running is the goal of a socket that is not detached.
const running = -1

func openSocket(l netns.Link, incoming bool, size packetring.Size) (*socket, error) {
	s := &socket{link: l, fd: -1, wake: -1}
	s.goal.Store(running)
	if err := l.Namespace().Do(func() error { return s.open(incoming, size) }); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open binds last: nothing is captured before all is set.
func (s *socket) open(incoming bool, size packetring.Size) (err error) {
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	if incoming {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("ignore outgoing packets: %w", err)
		}
	}
	if err := s.cut(); err != nil {
		return err
	}
	if s.ring, err = packetring.Map(s.fd, size); err != nil {
		return err
	}
	return s.bind(unix.ETH_P_ALL)
}

// cut keeps snapLength bytes of each packet: the value that a socket filter returns.
func (s *socket) cut() error {
	filter := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: snapLength}}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return fmt.Errorf("set snap length: %w", err)
	}
	return nil
}

// bind starts the capture of a protocol on the link, or with protocol 0 ends it.
func (s *socket) bind(protocol uint16) error {
	big := bits.ReverseBytes16(protocol)
	if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: big, Ifindex: s.link.Index}); err != nil {
		return fmt.Errorf("bind packet socket to protocol %#x: %w", protocol, err)
	}
	return nil
}

// detach ends the capture, tells the reader how many packets to wait for, and returns
// how many were dropped.
func (s *socket) detach() (dropped uint64, err error) {
	err = errors.Join(s.failure(), s.bind(0)) // the reader may end before it has looked
	stats, statsErr := unix.GetsockoptTpacketStatsV3(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if statsErr != nil {
		s.goal.Store(0)
		err = errors.Join(err, fmt.Errorf("read packet statistics: %w", statsErr))
	} else {
		s.goal.Store(int64(stats.Packets - stats.Drops)) // Packets includes Drops (packet_getsockopt)
		dropped = uint64(stats.Drops)
	}
	_, wakeErr := unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return dropped, errors.Join(err, wakeErr)
}

// close frees everything. The reader must have ended.
func (s *socket) close() error {
	err := s.ring.Unmap()
	for _, fd := range []int{s.fd, s.wake} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return err
}

// defaultRing is 16 MiB: some 80,000 packets of snapLength.
func defaultRing() packetring.Size {
	return packetring.Size{Blocks: 64, Bytes: 1 << 18, Retire: 20 * time.Millisecond}
}

// patience is for how many milliseconds, after the end, the reader waits for a
// packet that the kernel has counted. A block is handed over within two times Retire.
const patience = 2000

// read hands packets over until the socket is detached and all of them have been.
func (s *socket) read(handle func(packetring.Packet)) error {
	done := int64(0)
	for {
		done += int64(s.ring.Take(handle))
		goal := s.goal.Load()
		if goal != running && done >= goal {
			return nil
		}
		if err := s.wait(goal == running); err != nil {
			return fmt.Errorf("%w: %d packets read of %d", err, done, goal)
		}
	}
}

// wait waits for a block, and while the capture runs for its end too.
func (s *socket) wait(running bool) error {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}, {Fd: int32(s.wake), Events: unix.POLLIN}}
	timeout := -1
	if !running {
		fds, timeout = fds[:1], patience
	}
	n, err := unix.Poll(fds, timeout)
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("wait for packets: %w", err)
	case n == 0:
		return errors.New("wait for the last packets")
	case fds[0].Revents&unix.POLLERR != 0:
		return s.failure()
	}
	return nil
}

// failure returns the socket's pending error: the link went down, or away. The first call gets it.
func (s *socket) failure() error {
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("read socket error: %w", err)
	}
	if errno == 0 {
		return nil
	}
	return fmt.Errorf("capture on %s: %w", s.link.Name, unix.Errno(errno))
}
