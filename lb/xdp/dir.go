package xdp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lbctl/lb"

	"golang.org/x/sys/unix"
)

// Dir is a pin directory that one process uses at a time. Ours in it are the links, and pins of these names.
type Dir struct {
	path  string
	names []string
	lock  *os.File
	// found are the names of ours that an earlier process has pinned.
	found []string
}

// OpenDir makes a pin directory and locks it; the kernel releases the lock when the process ends. Errors: those of
// MakeDir; lb.ErrConflict if another process has the lock.
func OpenDir(path string, names []string) (*Dir, error) {
	d := &Dir{path: path, names: names}
	if err := d.Relock(); err != nil {
		return nil, err
	}
	var err error
	if d.found, err = ours(path, names); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Unlocked returns a pin directory that the caller keeps to himself by another lock.
func Unlocked(path string, names []string) *Dir { return &Dir{path: path, names: names} }

// Relock makes the directory if it is gone, and locks the one that is there now.
func (d *Dir) Relock() error {
	for {
		if err := MakeDir(d.path); err != nil {
			return err
		}
		if is, err := d.locked(); is || err != nil {
			return err
		}
		f, err := lockDir(d.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has just removed it
		}
		if err != nil {
			return err
		}
		d.Close()
		d.lock = f
	}
}

// locked reports whether the lock is that of the directory which is at the path now.
func (d *Dir) locked() (bool, error) {
	if d.lock == nil {
		return false, nil
	}
	mine, err := d.lock.Stat()
	if err != nil {
		return false, fmt.Errorf("inspect pin directory: %w", err)
	}
	now, err := os.Stat(d.path)
	if err != nil {
		return false, fmt.Errorf("inspect pin directory: %w", lb.Denied(err))
	}
	return os.SameFile(mine, now), nil
}

func lockDir(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open pin directory: %w", lb.Denied(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &busyError{path, err}
	}
	return f, nil
}

// busyError: another process has the lock of a pin directory. It wraps lb.ErrConflict.
type busyError struct {
	path string
	why  error
}

func (e *busyError) Error() string {
	return fmt.Sprintf("lock %s: %v: a daemon uses it (%v)", e.path, lb.ErrConflict, e.why)
}

// Hint says what to do.
func (e *busyError) Hint() string { return "stop that daemon, or use another --pin-dir" }

func (e *busyError) Unwrap() error { return lb.ErrConflict }

// strangerError: a directory is no pin directory of ours. It wraps lb.ErrConflict.
type strangerError struct{ path, lacks string }

func (e *strangerError) Error() string {
	return fmt.Sprintf("%v: %s is no pin directory of ours: it has no %s", lb.ErrConflict, e.path, e.lacks)
}

// Hint says what to do.
func (e *strangerError) Hint() string { return "name the --pin-dir that the daemon had" }

func (e *strangerError) Unwrap() error { return lb.ErrConflict }

// Close releases the lock. What is pinned stays.
func (d *Dir) Close() error {
	if d == nil || d.lock == nil {
		return nil
	}
	lock := d.lock
	d.lock = nil
	return lock.Close()
}

// Discard removes pins that were not there when the directory was opened, but no link. A nil Dir has none.
func (d *Dir) Discard() error {
	if d == nil || d.lock == nil {
		return nil
	}
	all, err := ours(d.path, d.names)
	if err != nil {
		return err
	}
	keep := slices.DeleteFunc(all, func(name string) bool { return slices.Contains(d.names, name) && !slices.Contains(d.found, name) })
	return remove(d.path, d.names, keep)
}

// ours are the names of what is ours in a directory: links, then pins of these names in their order.
func ours(path string, names []string) (all []string, err error) {
	found, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("read pin directory: %w", lb.Denied(err))
	}
	rank := func(name string) int { return slices.Index(names, name) }
	for _, f := range found {
		if !f.IsDir() && (strings.HasPrefix(f.Name(), linkPrefix) || rank(f.Name()) >= 0) {
			all = append(all, f.Name())
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return rank(a) - rank(b) })
	return all, nil
}

// Remove removes links and pins of these names from a directory, and then the directory if nothing is in it. Errors:
// lb.ErrDenied.
func Remove(path string, names []string) error { return remove(path, names, nil) }

// remove is Remove that keeps some names.
func remove(path string, names, keep []string) error {
	all, err := ours(path, names)
	if err != nil {
		return err
	}
	for _, name := range all {
		if slices.Contains(keep, name) {
			continue
		}
		if err := os.Remove(filepath.Join(path, name)); err != nil {
			return fmt.Errorf("remove a pin: %w", lb.Denied(err))
		}
	}
	if keep == nil {
		for _, below := range []string{nextDir, doneDir} {
			if err := removeBelow(path, below, names); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("remove pin directory: %w", lb.Denied(err))
	}
	return nil
}

// Purge removes what is ours from a pin directory, and the directory if nothing else is in it; left are the names that
// are not ours. The directory is ours if it has the last name. Errors: lb.ErrNotFound where there is no such directory;
// lb.ErrUnsupported where it is not on a BPF file system; lb.ErrConflict if it is not ours or a process uses it;
// lb.ErrDenied.
func Purge(path string, names []string) (left []string, err error) {
	if err := RequireBPFFS(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: pin directory %s", lb.ErrNotFound, path)
	} else if err != nil {
		return nil, err
	}
	mark := filepath.Join(path, names[len(names)-1])
	if _, err := os.Lstat(mark); errors.Is(err, fs.ErrNotExist) {
		return nil, &strangerError{path, filepath.Base(mark)}
	} else if err != nil {
		return nil, fmt.Errorf("inspect pin directory: %w", lb.Denied(err))
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := Remove(path, names); err != nil {
		return nil, err
	}
	others, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, o := range others {
		left = append(left, o.Name())
	}
	return left, err
}
