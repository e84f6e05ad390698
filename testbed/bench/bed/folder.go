package bed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

const (
	// folders holds one folder a run, locked for as long as the run lives; in it is one for each
	// load balancer.
	folders = "/run/lbctl-bench"
	// pins begins the name of a load balancer's pin directory: pins RUN-NAME.
	pins = "/sys/fs/bpf/lbctl-bench-"
)

// makeFolder makes the run's folder.
func (b *Bed) makeFolder() error {
	// The run's id is nobody else's while it lives. A BPF file system takes no dots.
	path := filepath.Join(folders, strings.ReplaceAll(b.run.ID(), ".", "_"))
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make folder of the run: %w", err)
	}
	lock, err := lockFolder(path)
	if err != nil {
		return err
	}
	b.folder = path
	b.OnClose(func() error { return b.removeFolder(path, lock) })
	return nil
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

// removeFolder removes what the run's load balancers pinned, then the folder, then the lock:
// whoever finds the folder knows that there may be pins.
func (b *Bed) removeFolder(path string, lock *os.File) error {
	defer lock.Close()
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("list folder of a run: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		p := places{filepath.Join(path, e.Name())}
		purge := exec.Command(b.program, "purge", "--pin-dir", p.pins(), "--socket", p.socket())
		if said, err := purge.CombinedOutput(); err != nil {
			return fmt.Errorf("purge the pins of %s: %w: it said:\n%s", p.folder, err, said)
		}
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove folder of the run: %w", err)
	}
	return nil
}

// sweep removes what runs left whose process is gone.
func (b *Bed) sweep() error {
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
		if err := b.removeFolder(path, lock); err != nil {
			return err
		}
		swept = append(swept, path)
	}
	if len(swept) > 0 {
		b.log.Info("removed what earlier runs left", "what", swept)
	}
	return nil
}

// places says where a load balancer keeps its things.
type places struct{ folder string }

func (p places) socket() string { return filepath.Join(p.folder, "sock") }
func (p places) state() string  { return filepath.Join(p.folder, "state") }
func (p places) config() string { return filepath.Join(p.folder, "lbctl.yaml") }

// pins is a directory directly below the BPF file system, named after run and balancer.
func (p places) pins() string {
	return pins + filepath.Base(filepath.Dir(p.folder)) + "-" + filepath.Base(p.folder)
}
