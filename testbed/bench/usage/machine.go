// Package usage reads the CPU time of the machine and of processes from /proc (proc(5)).
package usage

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc: USER_HZ, 100 a second wherever Linux runs Go.
const tick = time.Second / 100

// machine is CPU time since boot, summed over the cores.
type machine struct {
	cores int
	// free is idle time, and what other guests of the host took. interrupts is time in interrupts
	// and softirqs: exact if the kernel measures it, else sampled.
	free, interrupts time.Duration
}

// parseMachine reads /proc/stat: a line of the sums, then one for each core:
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
	}{{&m.free, 3}, {&m.free, 4}, {&m.free, 7}, {&m.interrupts, 5}, {&m.interrupts, 6}} {
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
