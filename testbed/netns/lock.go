package netns

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const lockSuffix = ".lock"

func lockPath(id string) string { return filepath.Join(lockDir, id+lockSuffix) }

// acquire locks a run's file, without waiting: unix.EWOULDBLOCK means that its owner
// lives. The lock goes with the open file, hence with the process, however it ends.
func acquire(id string) (*os.File, error) {
	for {
		f, err := os.OpenFile(lockPath(id), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open lock of run %s: %w", id, err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("lock run %s: %w", id, err)
		}
		if current(f) {
			return f, nil
		}
		// Its former owner removed the file between our open and our lock: a lock
		// on a file without a name protects nothing.
		_ = f.Close()
	}
}

// current reports whether the open file is still the one that its name stands for.
func current(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(f.Name())
	return err == nil && os.SameFile(open, named)
}

// release removes the file while it is still locked, so that nobody can lock it in between.
func release(f *os.File) {
	_ = os.Remove(f.Name())
	_ = f.Close()
}
