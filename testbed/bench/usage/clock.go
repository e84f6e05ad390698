package usage

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// processClock returns the number of the clock that counts the CPU time of a process, all its threads, those that
// have ended included (clock_getcpuclockid(3); MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED of
// include/linux/posix-timers_types.h). It counts nanoseconds, where /proc has hundredths of a second.
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }

// cpuTime returns the CPU time of a process, false if there is none of that number.
func cpuTime(pid int) (time.Duration, bool, error) {
	var t unix.Timespec
	err := unix.ClockGettime(processClock(pid), &t)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESRCH) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read cpu time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), true, nil
}
