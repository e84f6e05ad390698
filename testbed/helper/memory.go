package helper

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is what a process has of memory, in bytes.
type Memory struct {
	// Resident is what of it is in RAM now, Peak the most that ever was (VmRSS and VmHWM of proc_pid_status(5)).
	Resident, Peak uint64
	// Tables is what the kernel holds in BPF maps that the process has open (memlock of proc_pid_fdinfo(5)).
	Tables uint64
}

// Memory returns that of the process, which must run.
func (p *Process) Memory() (m Memory, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(p.PID()))
	text, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return m, fmt.Errorf("read memory of %s: %w", p.name, err)
	}
	m.Resident, m.Peak = field(text, "VmRSS")<<10, field(text, "VmHWM")<<10
	open, err := filepath.Glob(filepath.Join(proc, "fdinfo", "*"))
	if err != nil {
		return m, fmt.Errorf("list files of %s: %w", p.name, err)
	}
	seen := map[uint64]bool{}
	for _, file := range open {
		text, err := os.ReadFile(file)
		if id := field(text, "map_id"); err == nil && id != 0 && !seen[id] { // it may be closed by now
			seen[id] = true
			m.Tables += field(text, "memlock")
		}
	}
	return m, nil
}

// field returns the number in the line of a name, 0 if there is none.
func field(text []byte, name string) uint64 {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		found, rest, ok := strings.Cut(lines.Text(), ":")
		if words := strings.Fields(rest); ok && found == name && len(words) > 0 {
			n, _ := strconv.ParseUint(words[0], 10, 64)
			return n
		}
	}
	return 0
}
