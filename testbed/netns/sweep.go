package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Sweep removes the namespaces of runs whose process is gone, and returns their names.
// Runs that are alive, in this process or another, are left alone; no process is killed:
// those of a crashed run have died with it (Namespace.Start).
func Sweep() ([]string, error) {
	if err := os.MkdirAll(lockDir, 0o755); err != nil {
		return nil, fmt.Errorf("make lock directory: %w", err)
	}
	ids, err := runs()
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var swept []string
	var all []error
	for _, id := range ids {
		names, err := sweepDead(id)
		swept = append(swept, names...)
		all = append(all, err)
	}
	return swept, errors.Join(all...)
}

// runs returns the ids of all runs that have a namespace or a lock file, sorted.
func runs() ([]string, error) {
	named, err := os.ReadDir(mountDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	locked, err := os.ReadDir(lockDir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range named {
		if id, ok := runOf(e.Name()); ok {
			ids = append(ids, id)
		}
	}
	for _, e := range locked {
		if id, ok := strings.CutSuffix(e.Name(), lockSuffix); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// runOf takes the id out of lbctl-ID-name. Ids are digits and dots: another program's
// namespace that happens to begin with our prefix is not ours.
func runOf(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, Prefix)
	if !ok {
		return "", false
	}
	id, _, ok := strings.Cut(rest, "-")
	return id, ok && id != "" && strings.Trim(id, "0123456789.") == ""
}

// Dead calls f if the process of a run is gone, and holds the run's lock meanwhile, so that no new run takes
// its id. It reports whether the process is gone.
func Dead(id string, f func() error) (bool, error) {
	lock, err := acquire(id)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer release(lock)
	return true, f()
}

// sweepDead removes the namespaces of a run if it is dead.
func sweepDead(id string) (swept []string, err error) {
	_, err = Dead(id, func() (err error) {
		swept, err = sweepRun(id)
		return err
	})
	return swept, err
}

// sweepRun removes the namespaces of a run whose lock the caller holds.
func sweepRun(id string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(mountDir, Prefix+id+"-*"))
	if err != nil {
		return nil, err
	}
	var swept []string
	var all []error
	for _, p := range paths {
		if err := unname(p); err != nil {
			all = append(all, err)
			continue
		}
		swept = append(swept, filepath.Base(p))
	}
	return swept, errors.Join(all...)
}

const lockSuffix = ".lock"

func lockPath(id string) string { return filepath.Join(lockDir, id+lockSuffix) }

// acquire locks a run's file, without waiting: unix.EWOULDBLOCK means that its owner
// lives. The kernel releases the lock with the open file, hence with the process, however it ends.
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
		// The former owner removed the file between our open and our lock: a lock
		// on a removed file protects nothing.
		_ = f.Close()
	}
}

// current reports whether the open file is still the one of that name.
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
