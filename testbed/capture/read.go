package capture

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// patience is for how many milliseconds, after the end, the reader waits for a
// packet that the kernel has counted. A block is handed over within two retireTimes.
const patience = 2000

// read hands packets over until the socket is detached and all of them have been.
func (s *socket) read(handle func(captured)) error {
	done := int64(0)
	for block := 0; ; {
		for s.ring.ready(block) {
			done += int64(s.ring.each(block, handle))
			s.ring.release(block)
			block = (block + 1) % s.ring.size.blocks
		}
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

// failure returns the socket's pending error: the link went down, or away. Whoever asks first gets it.
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
