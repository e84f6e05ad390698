package helper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Asleep returns an error unless all threads of a process sleep: they wait for something to happen, or for the disk. A
// thread for which there is something to do is runnable from that moment on, and no sleeper.
func Asleep(pid int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("process %d: it has no threads", pid)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if !strings.HasPrefix(rest, "S") && !strings.HasPrefix(rest, "D") {
			return fmt.Errorf("a thread of process %d is running", pid)
		}
	}
	return nil
}
