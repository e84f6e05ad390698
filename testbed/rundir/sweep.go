package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// Sweep removes what runs left whose process is gone: namespaces of all kinds of runs, folders and
// pins of this kind. It logs what that was.
func (r Runs) Sweep(log *slog.Logger) error {
	swept, err := netns.Sweep()
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(r.folders(), "*"))
	if err != nil {
		return fmt.Errorf("list folders of runs: %w", err)
	}
	for _, path := range paths {
		left, err := r.take(path, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue // alive, or gone in this moment
		}
		if err != nil {
			return err
		}
		if err := left.Close(); err != nil {
			return err
		}
		swept = append(swept, path)
	}
	if len(swept) > 0 {
		log.Info("removed what earlier runs left", "what", swept)
	}
	return nil
}
