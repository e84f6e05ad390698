package live

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// staying calls f with the calling thread, which the caller has locked, kept on the core that it is on. On another
// core, where it might be put in the middle of a run, it would go on filling the rings of the veths, and the softirqs
// that empty them, left on the first, would come too late: frames would be lost that no program lost.
func staying(f func() error) (err error) {
	var before, here unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read cores of thread: %w", err)
	}
	core, err := current()
	if err != nil {
		return err
	}
	here.Set(core)
	if err := unix.SchedSetaffinity(0, &here); err != nil {
		return fmt.Errorf("keep thread on core %d: %w", core, err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	return f()
}

// current is the core that the calling thread is on, or was a moment ago.
func current() (int, error) {
	var core uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&core)), 0, 0); errno != 0 {
		return 0, fmt.Errorf("read core of thread: %w", errno)
	}
	return int(core), nil
}
