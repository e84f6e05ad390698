package copies

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
	"lbctl/testbed/packetring"
	"lbctl/testbed/xdp"
)

// Path is how frames come from a link to whom they are for.
type Path string

// The paths. Each but the last gives the frames to a process.
const (
	// Read is read(2) on a packet socket, into the process's own buffer.
	Read Path = "read"
	// Peek is the control: the process looks at each frame with MSG_PEEK before it reads it.
	Peek Path = "peek"
	// Ring is the memory-mapped ring of a packet socket (TPACKET_V3).
	Ring Path = "ring"
	// Socket is an AF_XDP socket in copy mode.
	Socket Path = "af_xdp"
	// InPlace is an XDP program that looks at the frame where the driver has it, and drops it.
	InPlace Path = "in place"
)

// paths are those that are compared.
func paths() []Path { return []Path{Read, Ring, Socket, InPlace} }

// receiver takes frames from a link.
type receiver interface {
	// take calls handle with each frame that has come; what InPlace sees only its program can handle. It returns their
	// number and never waits.
	take(handle func(frame []byte)) (int, error)
	// wait waits for more, or a short time. A receiver that has all that came returns at once.
	wait() error
	Close() error
}

// newReceiver opens a path at a link.
func newReceiver(p Path, l netns.Link) (receiver, error) {
	switch p {
	case Socket:
		s, err := xdp.NewSocket(l, xdp.Copy)
		return xdpReceiver{s}, err
	case InPlace:
		c, err := xdp.NewCounter(l)
		return &counting{Counter: c}, err
	}
	pass, err := xdp.Receive(l) // without a program a veth does not receive frames that XDP sends
	if err != nil {
		return nil, err
	}
	s := &packetSocket{pass: pass.Close, peek: p == Peek, buffer: make([]byte, maxFrame)}
	size := packetring.Size{}
	if p == Ring {
		size = ringSize()
	}
	if s.fd, s.ring, err = packetring.Open(l, receiveBuffer, size); err != nil {
		return nil, errors.Join(err, pass.Close())
	}
	return s, nil
}

// maxFrame is the size of the largest frame in bytes: an Ethernet header and an MTU.
const (
	maxPayload = netns.DefaultMTU
	maxFrame   = xdp.HeaderLength + maxPayload
)

// packetSocket is an AF_PACKET socket, with or without a ring.
type packetSocket struct {
	fd     int
	pass   func() error
	peek   bool
	buffer []byte
	ring   *packetring.Ring
}

// The memory of a socket: some thousand frames, as many as come before the process looks again, and more. The ring has
// about as much as the AF_XDP socket, so that either is in the same cache.
const receiveBuffer = 8 << 20

func ringSize() packetring.Size {
	return packetring.Size{Blocks: 8, Bytes: 1 << 17, Retire: time.Millisecond}
}

func (s *packetSocket) take(handle func([]byte)) (frames int, err error) {
	if s.ring != nil {
		return s.ring.Take(func(p packetring.Packet) { handle(p.Data) }), nil
	}
	for {
		if s.peek {
			if _, errno := s.call(unix.SYS_RECVFROM, unix.MSG_PEEK); errno == unix.EAGAIN {
				return frames, nil
			}
		}
		n, errno := s.call(unix.SYS_READ, 0)
		switch errno {
		case 0:
			handle(s.buffer[:n])
			frames++
		case unix.EAGAIN:
			return frames, nil
		case unix.EINTR:
		default:
			return frames, fmt.Errorf("read: %w", errno)
		}
	}
}

// call makes a system call that reads into the buffer, without telling the Go runtime: it never waits.
func (s *packetSocket) call(number, flags uintptr) (uintptr, unix.Errno) {
	n, _, errno := unix.RawSyscall6(number, uintptr(s.fd), uintptr(unsafe.Pointer(&s.buffer[0])), uintptr(len(s.buffer)), flags, 0, 0)
	return n, errno
}

// wait waits for a block of the ring that is not full; the kernel hands it over after a while.
func (s *packetSocket) wait() error {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, int(pause/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for frames: %w", err)
	}
	return nil
}

// pause is how long a receiver waits at a time.
const pause = 10 * time.Millisecond

// Close implements io.Closer.
func (s *packetSocket) Close() error {
	return errors.Join(s.ring.Unmap(), s.pass(), unix.Close(s.fd))
}

// xdpReceiver is an AF_XDP socket as a receiver.
type xdpReceiver struct{ *xdp.Socket }

func (x xdpReceiver) take(handle func([]byte)) (int, error) { return x.Each(handle), nil }
func (x xdpReceiver) wait() error                           { time.Sleep(time.Millisecond); return nil }

// counting is a program that counts, as a receiver.
type counting struct {
	*xdp.Counter
	taken uint64
}

func (c *counting) take(func([]byte)) (int, error) {
	total, err := c.Total()
	frames := total - c.taken
	c.taken = total
	return int(frames), err
}

func (c *counting) wait() error { time.Sleep(time.Millisecond); return nil }
