package usage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Snapshot is who has used how much CPU time up to a moment. Immutable.
type Snapshot struct {
	at        time.Time
	machine   machine
	processes map[int]process
}

// Take takes a snapshot. It costs some milliseconds.
func Take() (Snapshot, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Snapshot{}, fmt.Errorf("read cpu time: %w", err)
	}
	s := Snapshot{at: time.Now(), processes: map[int]process{}}
	if s.machine, err = parseMachine(string(text)); err != nil {
		return Snapshot{}, err
	}
	files, err := filepath.Glob("/proc/[1-9]*/stat")
	if err != nil {
		return Snapshot{}, fmt.Errorf("list processes: %w", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended since
		}
		if err != nil {
			return Snapshot{}, fmt.Errorf("read cpu time: %w", err)
		}
		p, err := parseProcess(string(text))
		if err != nil {
			return Snapshot{}, err
		}
		own, there, err := cpuTime(p.pid)
		if err != nil {
			return Snapshot{}, err
		}
		if p.used += own; there {
			s.processes[p.pid] = p
		}
	}
	return s, nil
}

// Busy returns how long all cores together have not been idle since an earlier snapshot, interrupts
// included, what other guests of the host took excluded.
func (s Snapshot) Busy(since Snapshot) time.Duration {
	return s.Capacity(since) - (s.machine.free - since.machine.free)
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

// Below returns what has been used by those that descend from root, root itself excluded, and by the kernel
// for whomever: its threads, and interrupts where they are counted apart. As long as those below root do
// nothing it hardly changes, whatever other processes do: so a difference is the cost of what
// they did in between.
func (s Snapshot) Below(root int, a Accounting) (used time.Duration) {
	for pid, p := range s.processes {
		if p.kernel || pid != root && s.descends(pid, root) {
			used += p.used
		}
	}
	if a.Apart {
		used += s.machine.interrupts
	}
	return used
}

// descends tells whether a process is root or descends from it.
func (s Snapshot) descends(pid, root int) bool {
	// A number that was given anew meanwhile could close a circle: no way is longer than this.
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
