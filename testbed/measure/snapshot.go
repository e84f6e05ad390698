package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Snapshot is who has used how much CPU time up to a moment. Differences of two are what an experiment
// measures. Immutable.
type Snapshot struct {
	at        time.Time
	machine   machine
	pressure  time.Duration
	processes map[int]process
	// irqTime says that time in interrupts is in machine alone, not in processes.
	irqTime bool
}

// Take takes a snapshot of /proc. It costs some milliseconds.
func Take() (Snapshot, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Snapshot{}, fmt.Errorf("read cpu time: %w", err)
	}
	s := Snapshot{at: time.Now(), pressure: pressure(), processes: map[int]process{}, irqTime: irqTime()}
	if s.machine, err = parseMachine(string(text)); err != nil {
		return Snapshot{}, err
	}
	files, err := filepath.Glob("/proc/[1-9]*/stat")
	if err != nil {
		return Snapshot{}, fmt.Errorf("list processes: %w", err)
	}
	for _, file := range files {
		p, there, err := readProcess(file)
		if err != nil {
			return Snapshot{}, err
		}
		if there {
			s.processes[p.pid] = p
		}
	}
	return s, nil
}

// readProcess reads a process of which file is the /proc/PID/stat, false if it has ended.
func readProcess(file string) (p process, there bool, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("read cpu time: %w", err)
	}
	if p, err = parseProcess(string(text)); err != nil {
		return p, false, err
	}
	own, there, err := processTime(p.pid)
	p.used += own
	return p, there, err
}

// Busy returns how long all cores together have not been idle since an earlier snapshot, interrupts
// included, what other guests of the host took excluded.
func (s Snapshot) Busy(since Snapshot) time.Duration {
	return s.Capacity(since) - (s.machine.idle - since.machine.idle) - (s.machine.stolen - since.machine.stolen)
}

// Capacity returns the time of all cores together since an earlier snapshot.
func (s Snapshot) Capacity(since Snapshot) time.Duration {
	return time.Duration(s.machine.cores) * s.at.Sub(since.at)
}

// Tree returns what a process and all that descend from it have used: 0 when there is none.
func (s Snapshot) Tree(root int) (used time.Duration) {
	for pid, p := range s.processes {
		if s.descends(pid, root) {
			used += p.used
		}
	}
	return used
}

// Of returns what one process has used: 0 when there is none.
func (s Snapshot) Of(pid int) time.Duration { return s.processes[pid].used }

// Below returns what the descendants of root have used, root itself excluded, and what the kernel has used for
// whomever: its threads, and interrupts where they are counted apart. While those below root do nothing
// it hardly changes, whatever other processes do: so a difference is the cost of what they did in between.
func (s Snapshot) Below(root int) (used time.Duration) {
	for pid, p := range s.processes {
		if p.kernel || pid != root && s.descends(pid, root) {
			used += p.used
		}
	}
	if s.irqTime {
		used += s.machine.interrupts
	}
	return used
}

// descends tells whether a process is root or descends from it.
func (s Snapshot) descends(pid, root int) bool {
	// A number that was given anew meanwhile could close a circle: no chain of parents is longer than this.
	for range len(s.processes) + 1 {
		if pid == root {
			return true
		}
		p, known := s.processes[pid]
		if !known {
			return false
		}
		pid = p.parent
	}
	return false
}
