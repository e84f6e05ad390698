package rig

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allowedCores returns the cores that this process may use, ascending.
func allowedCores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read cpu affinity: %w", err)
	}
	var cores []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cores = append(cores, cpu)
		}
	}
	return cores, nil
}

// pin locks the goroutine to its thread for good, and the thread to a core. The thread ends with the
// goroutine, and its affinity too.
func pin(core int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin thread to core %d: %w", core, err)
	}
	return nil
}

// event is an eventfd: it wakes a thread that waits in poll. The zero value was never made and is not ready.
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

// read and write are raw system calls: the descriptors do not block, so the Go scheduler
// need not be told of each of a million frames. Buffers must not be empty.

func read(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func write(fd int, b []byte) error {
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return errno
	}
	return nil
}
