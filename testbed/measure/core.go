package measure

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OnOneCore calls f with the calling thread, which the caller has locked, bound to its present core. The softirqs of what it
// sends run there, too: if the scheduler moved it in the middle, one core would fill the rings that another one empties,
// and frames would be lost that no program lost.
func OnOneCore(f func() error) (err error) {
	var before, here unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read cores of thread: %w", err)
	}
	var core uint32 // where the thread is, or was a moment ago
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&core)), 0, 0); errno != 0 {
		return fmt.Errorf("read core of thread: %w", errno)
	}
	here.Set(int(core))
	if err := unix.SchedSetaffinity(0, &here); err != nil {
		return fmt.Errorf("keep thread on core %d: %w", core, err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	return f()
}
