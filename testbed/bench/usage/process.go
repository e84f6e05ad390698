package usage

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// process is one process at a moment.
type process struct {
	pid, parent int
	// kernel marks a thread of the kernel.
	kernel bool
	// used is user and system time of all its threads, and of the children that it has waited
	// for: a sum over processes does not change when one of them ends. The time of softirqs that ran
	// on top of a thread is in it, unless Accounting says that they are counted apart.
	used time.Duration
}

// kernelThread is PF_KTHREAD of include/linux/sched.h.
const kernelThread = 0x00200000

// parseProcess reads a /proc/PID/stat. The name, in parentheses, may hold anything. The time is that
// of the children alone.
func parseProcess(stat string) (p process, err error) {
	head, rest, ok := cutLast(stat, ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 15 {
		return process{}, fmt.Errorf("parse /proc/PID/stat: %.60q: want 17 fields", stat)
	}
	number, _, _ := strings.Cut(head, " ")
	flags, errFlags := strconv.ParseUint(f[6], 10, 32)
	var errPID, errParent error
	p.pid, errPID = strconv.Atoi(number)
	p.parent, errParent = strconv.Atoi(f[1])
	for _, err := range []error{errPID, errParent, errFlags} {
		if err != nil {
			return process{}, fmt.Errorf("parse /proc/PID/stat: %w", err)
		}
	}
	p.kernel = flags&kernelThread != 0
	for _, field := range f[13:15] { // cutime, cstime
		n, err := parseTicks(field)
		if err != nil {
			return process{}, fmt.Errorf("parse /proc/PID/stat: %w", err)
		}
		p.used += n
	}
	return p, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
