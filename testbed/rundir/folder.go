// Package rundir is the folder of a run of the testbed: where a benchmark or an experiment keeps its
// files, and where its load balancers keep theirs. It is locked for as long as its process lives, so
// that Sweep can tell what a crashed run left from what belongs to a living one. It needs root.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Runs are all runs of a kind.
type Runs struct {
	// Kind stands in their paths: /run/lbctl-KIND/ID. Letters and digits.
	Kind string
	// Program is the path of the lbctl binary, which removes what load balancers pinned.
	Program string
}

// base holds the folders of all kinds.
const base = "/run"

func (r Runs) folders() string { return filepath.Join(base, "lbctl-"+r.Kind) }

// Folder is that of a living run, until Close.
type Folder struct {
	path, program string
	lock          *os.File
}

// Make makes the folder of a run. The id must be nobody else's while the run lives, as that of
// netns.Run is. Make waits while another run sweeps what a dead one left under the same id.
func (r Runs) Make(id string) (*Folder, error) {
	path := filepath.Join(r.folders(), strings.ReplaceAll(id, ".", "_")) // a BPF file system takes no dots
	for {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("make folder of a run: %w", err)
		}
		f, err := r.take(path, unix.LOCK_EX)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
}

// take locks a folder. unix.EWOULDBLOCK means, with unix.LOCK_NB, that its run is alive, and
// fs.ErrNotExist that the folder is gone.
func (r Runs) take(path string, how int) (*Folder, error) {
	lock, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lock folder of a run: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), how)
	if err == nil {
		err = current(lock)
	}
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock folder of a run: %w", err)
	}
	return &Folder{path: path, program: r.Program, lock: lock}, nil
}

// current returns fs.ErrNotExist if an open folder is no longer what its name stands for: it was
// removed between the open and the lock, which protects nothing then.
func current(f *os.File) error {
	open, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(f.Name())
	if err == nil && !os.SameFile(open, named) {
		err = fs.ErrNotExist
	}
	return err
}

// Path returns the path of a file in the folder; of the folder itself if the name is empty.
func (f *Folder) Path(name string) string { return filepath.Join(f.path, name) }

// Close removes what the run's load balancers pinned, then the folder, then the lock: whoever finds
// the folder knows that there may be pins. No load balancer of the run may live.
func (f *Folder) Close() error {
	defer f.lock.Close()
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("list folder of a run: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := f.home(e.Name()).Purge(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(f.path); err != nil {
		return fmt.Errorf("remove folder of a run: %w", err)
	}
	return nil
}
