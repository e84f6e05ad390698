package decap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"golang.org/x/sys/unix"
)

// place is the pin directory of one interface.
type place string

// placeOf returns the place of an interface. Its name has the network namespace too: several may share a
// BPF file system.
func placeOf(dir string, index int) (place, error) {
	n, err := namespace()
	return place(filepath.Join(dir, fmt.Sprintf("%d_%d", n, index))), err
}

// namespace returns the inode of the thread's network namespace.
func namespace() (uint64, error) {
	var s unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &s); err != nil {
		return 0, fmt.Errorf("inspect network namespace: %w", err)
	}
	return s.Ino, nil
}

// programPin is the name of the program's pin in a place.
const programPin = "program"

// hook adopts the link that is pinned, unless its interface is gone. Errors: lb.ErrDenied.
func (p place) hook() (*xdp.Hook, error) { return xdp.Open(string(p), programPin) }

// names are those of what is pinned in a place, beside links.
func names() []string {
	return []string{programPin, programPin + "_next", bpf.DecapMapLocals, bpf.DecapMapVips, bpf.DecapMapPorts, bpf.DecapMapPolicies, bpf.DecapMapByReason}
}

// remove unpins everything.
func (p place) remove() error { return xdp.Remove(string(p), names()) }

// removeEmpty removes a pin directory in which nothing is.
func removeEmpty(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("remove pin directory: %w", lb.Denied(err))
	}
	return nil
}

// alive reports whether a link holds an interface. None does where the process that made the place was killed.
func (p place) alive() (bool, error) {
	h, err := p.hook()
	if err != nil {
		return false, err
	}
	return len(h.Links) > 0, h.Close()
}

// isPlace matches the names that placeOf makes.
var isPlace = regexp.MustCompile(`^[0-9]+_[0-9]+$`)

// places lists the directories of all network namespaces.
func places(dir string) ([]place, error) {
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read pin directory: %w", lb.Denied(err))
	}
	all := make([]place, 0, len(found))
	for _, f := range found {
		if f.IsDir() && isPlace.MatchString(f.Name()) {
			all = append(all, place(filepath.Join(dir, f.Name())))
		}
	}
	return all, nil
}

// sweep removes the places of interfaces that are gone. The caller has the lock.
func sweep(dir string) error {
	all, err := places(dir)
	if err != nil {
		return err
	}
	for _, p := range all {
		alive, err := p.alive()
		if err == nil && !alive {
			err = p.remove()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lock keeps other processes from changing what is pinned; it waits for them. The lock ends
// with the process at the latest. Errors: lb.ErrNotFound (no such directory), lb.ErrDenied.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: pin directory %s", lb.ErrNotFound, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open pin directory: %w", lb.Denied(err))
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return func() { f.Close() }, nil
}
