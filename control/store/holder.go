package store

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// holder names the process that has the lock of a file, "another process" when it
// cannot be told: it may live in another pid namespace.
func holder(path string) string {
	const unknown = "another process"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return unknown
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return unknown
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	if pid := lockPid(string(locks), file); pid != "" {
		return "process " + pid
	}
	return unknown
}

// lockPid finds the holder of a file in the text of /proc/locks, whose lines read
// "1: FLOCK  ADVISORY  WRITE 4711 00:2a:123456 0 EOF" (proc(5)); a waiter's line has "->" second.
func lockPid(locks, file string) string {
	for line := range strings.Lines(locks) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[5] == file && f[4] != "0" && f[4] != "-1" {
			return f[4]
		}
	}
	return ""
}
