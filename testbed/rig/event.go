package rig

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// event is an eventfd: what wakes a thread that waits in poll. The zero value, of an
// event that was never made, is not ready.
type event struct {
	fd   int
	made bool
}

func newEvent() (event, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return event{}, fmt.Errorf("make eventfd: %w", err)
	}
	return event{fd: fd, made: true}, nil
}

// signal makes the event readable until it is cleared.
func (e event) signal() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(e.fd, one[:]) // fails only when already at 2^64-2
}

func (e event) clear() {
	var value [8]byte
	_, _ = unix.Read(e.fd, value[:])
}

func (e event) close() {
	if e.made {
		_ = unix.Close(e.fd)
	}
}

// wait waits until one of the descriptors can be read, and fills in which.
func wait(fds []unix.PollFd) error {
	for {
		_, err := unix.Poll(fds, -1)
		if err != unix.EINTR {
			return err
		}
	}
}
