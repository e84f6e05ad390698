package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

const (
	// folders holds one folder a run: logs, socket, state, and a lock that lives as long as the run.
	folders = "/run/lbctl-lab"
	// pins begins the name of a run's pin directory.
	pins = "/sys/fs/bpf/lbctl-lab-"
	// socketName is the daemon's socket in the folder.
	socketName = "sock"
)

// folder is where a run keeps its files.
type folder struct {
	path string
	lock *os.File
}

// makeFolder makes the run's folder, under the process number and, for the second and
// later run of one process, a suffix.
func (s *Stage) makeFolder(context.Context) error {
	for i := range 1000 {
		name := strconv.Itoa(os.Getpid())
		if i > 0 {
			name += "-" + strconv.Itoa(i) // a BPF file system takes no dots
		}
		path := filepath.Join(folders, name)
		err := os.MkdirAll(folders, 0o700)
		if err == nil {
			err = os.Mkdir(path, 0o700)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("make folder of the run: %w", err)
		}
		lock, err := lockFolder(path)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue // another run took it for a dead one's, and sweeps it
		}
		if err != nil {
			return err
		}
		s.dir = &folder{path: path, lock: lock}
		s.onClose(func() error { return s.removeRun(path, lock) })
		return nil
	}
	return errors.New("make folder of the run: every name is taken")
}

// lockFolder takes the lock of a run's folder. unix.EWOULDBLOCK means that the run is alive.
func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lock folder of a run: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock folder of a run: %w", err)
	}
	return f, nil
}

// removeRun removes what a run pinned, then its folder, then its lock: whoever finds
// the folder knows that there may be pins.
func (s *Stage) removeRun(path string, lock *os.File) error {
	defer lock.Close()
	if err := s.purge(path); err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove folder of the run: %w", err)
	}
	return nil
}

// purge removes what a run pinned.
func (s *Stage) purge(path string) error {
	purge := exec.Command(s.config.Program, "purge", "--pin-dir", pins+filepath.Base(path), "--socket", filepath.Join(path, socketName))
	if said, err := purge.CombinedOutput(); err != nil {
		return fmt.Errorf("purge the pins of a run: %w: it said:\n%s", err, said)
	}
	return nil
}

// pinDir is the run's pin directory.
func (f *folder) pinDir() string { return pins + filepath.Base(f.path) }

// sweep removes what runs left whose process is gone.
func (s *Stage) sweep(context.Context) error {
	swept, err := netns.Sweep()
	if err != nil {
		return err
	}
	runs, err := filepath.Glob(filepath.Join(folders, "*"))
	if err != nil {
		return fmt.Errorf("list folders of runs: %w", err)
	}
	for _, path := range runs {
		lock, err := lockFolder(path)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue // alive, or gone in this moment
		}
		if err != nil {
			return err
		}
		if err := s.removeRun(path, lock); err != nil {
			return err
		}
		swept = append(swept, path)
	}
	if len(swept) > 0 {
		s.config.Log.Info("removed what earlier runs left", "what", swept)
	}
	return nil
}
