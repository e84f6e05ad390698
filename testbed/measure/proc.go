package measure

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc: USER_HZ, 100 a second wherever Linux runs Go.
const tick = time.Second / 100

// machine is CPU time since boot, summed over the cores.
type machine struct {
	cores int
	// idle is time without work, stolen what other guests of the host took. interrupts is time in interrupts
	// and softirqs: exact if the kernel measures it, else sampled.
	idle, stolen, interrupts time.Duration
}

// parseMachine reads /proc/stat (proc(5)): a line of the sums, then one for each core:
// cpu user nice system idle iowait irq softirq steal guest guest_nice.
func parseMachine(stat string) (m machine, err error) {
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		switch {
		case len(f) < 9 || !strings.HasPrefix(f[0], "cpu"):
		case f[0] != "cpu":
			m.cores++
		default:
			if m, err = m.sums(f[1:9]); err != nil {
				return machine{}, fmt.Errorf("parse /proc/stat: %w", err)
			}
		}
	}
	if m.cores == 0 {
		return machine{}, fmt.Errorf("parse /proc/stat: %.60q: want a line for each core", stat)
	}
	return m, nil
}

// sums takes the line of the sums, from user to steal.
func (m machine) sums(fields []string) (machine, error) {
	for _, f := range []struct {
		into *time.Duration
		at   int
	}{{&m.idle, 3}, {&m.idle, 4}, {&m.interrupts, 5}, {&m.interrupts, 6}, {&m.stolen, 7}} {
		n, err := parseTicks(fields[f.at])
		if err != nil {
			return machine{}, err
		}
		*f.into += n
	}
	return m, nil
}

func parseTicks(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("parse cpu time: %w", err)
	}
	return time.Duration(n) * tick, nil
}

// process is one process at a moment.
type process struct {
	pid, parent int
	// kernel marks a thread of the kernel.
	kernel bool
	// used is user and system time of all its threads, and of the children that it has waited
	// for: a sum over processes does not change when one of them ends. The time of softirqs that ran
	// on top of a thread is in it, unless irqTime says that they are counted apart.
	used time.Duration
}

// kernelThread is PF_KTHREAD of include/linux/sched.h.
const kernelThread = 0x00200000

// parseProcess reads a /proc/PID/stat. The name, in parentheses, may hold anything. The time is that
// of the children alone.
func parseProcess(stat string) (p process, err error) {
	end := strings.LastIndex(stat, ") ")
	f := strings.Fields(stat[max(end+1, 0):])
	if end < 0 || len(f) < 15 {
		return process{}, fmt.Errorf("parse /proc/PID/stat: %.60q: want 17 fields", stat)
	}
	number, _, _ := strings.Cut(stat, " ")
	flags, errFlags := strconv.ParseUint(f[6], 10, 32)
	var errPID, errParent error
	p.pid, errPID = strconv.Atoi(number)
	p.parent, errParent = strconv.Atoi(f[1])
	user, errUser := parseTicks(f[13])     // cutime
	system, errSystem := parseTicks(f[14]) // cstime
	for _, err := range []error{errPID, errParent, errFlags, errUser, errSystem} {
		if err != nil {
			return process{}, fmt.Errorf("parse /proc/PID/stat: %w", err)
		}
	}
	p.kernel, p.used = flags&kernelThread != 0, user+system
	return p, nil
}

// processClock returns the number of the clock that counts the CPU time of a process, all its threads, those that
// have ended included (clock_getcpuclockid(3); MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED of
// include/linux/posix-timers_types.h). It counts nanoseconds, where /proc has hundredths of a second.
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }

// processTime returns the CPU time of a process, false if there is none of that number.
func processTime(pid int) (time.Duration, bool, error) {
	used, err := clock(processClock(pid))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESRCH) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read cpu time of process %d: %w", pid, err)
	}
	return used, true, nil
}

// ThreadTime returns the CPU time of the calling thread, in nanoseconds: a caller that takes differences has
// locked its goroutine to the thread. Other tasks do not count; softirqs on top of the thread do, unless the
// kernel accounts for them apart.
func ThreadTime() (time.Duration, error) {
	used, err := clock(unix.CLOCK_THREAD_CPUTIME_ID)
	if err != nil {
		return 0, fmt.Errorf("read cpu time of thread: %w", err)
	}
	return used, nil
}

// Monotonic returns the time on CLOCK_MONOTONIC, which all processes share, and the records of package trace.
func Monotonic() time.Duration {
	now, _ := clock(unix.CLOCK_MONOTONIC) // which every kernel has
	return now
}

func clock(id int32) (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(id, &t)
	return time.Duration(t.Nano()), err
}

// irqTime tells whether the kernel measures time in interrupts and softirqs by itself, as Debian's do
// (CONFIG_IRQ_TIME_ACCOUNTING), or as part of that of the process that was interrupted. A kernel that does not
// publish its configuration is taken for one of the second kind, which is the default.
var irqTime = sync.OnceValue(func() bool {
	return bytes.Contains(kernelConfig(), []byte("\nCONFIG_IRQ_TIME_ACCOUNTING=y\n"))
})

// kernelConfig returns the configuration of the running kernel, nil if it does not say.
func kernelConfig() []byte {
	if f, err := os.Open("/proc/config.gz"); err == nil {
		defer f.Close()
		if z, err := gzip.NewReader(f); err == nil {
			text, _ := io.ReadAll(z)
			return text
		}
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil
	}
	text, _ := os.ReadFile("/boot/config-" + unix.ByteSliceToString(u.Release[:]))
	return text
}

// InterruptsApart tells whether the time of interrupts and softirqs is not in ThreadTime: the kernel accounts for them
// apart.
func InterruptsApart() bool { return irqTime() }
