package bed

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"lbctl/testbed/netns"
	"lbctl/testbed/trace"
)

// folders are the run folders of beds of one kind: /run/KIND/ID, where ID is that of the run (netns.Run). A
// folder belongs to its run: whoever holds the run's lock may remove it.
type folders struct {
	kind string
	// program is the path of the lbctl binary, which removes what load balancers pinned.
	program string
}

// kind is that of every bed; tests have one of their own.
const kind = "lbctl-lab"

const runDir = "/run"

func (f folders) dir() string { return filepath.Join(runDir, f.kind) }

// folder is one run folder: the run's files, and a folder for each of its load balancers.
type folder struct{ path, program string }

// of returns the folder of a run. The BPF file system takes no dots in names.
func (f folders) of(id string) folder {
	return folder{path: filepath.Join(f.dir(), strings.ReplaceAll(id, ".", "_")), program: f.program}
}

// make makes the folder of a living run, after it has removed what a dead run of the same id left.
func (f folders) make(id string) (folder, error) {
	d := f.of(id)
	if err := d.remove(); err != nil {
		return d, err
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return d, fmt.Errorf("make folder of a run: %w", err)
	}
	return d, nil
}

// remove removes what the run's load balancers pinned, then the folder: so where there is a folder there may be
// pins, and only there. No load balancer of the run may run. A folder that is not there is no error.
func (d folder) remove() error {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list folder of a run: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := d.at(e.Name()).Purge(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(d.path); err != nil {
		return fmt.Errorf("remove folder of a run: %w", err)
	}
	return nil
}

// sweep removes what runs left whose process is gone: tracing instances, namespaces, folders and pins. It logs what
// that was.
func (f folders) sweep(log *slog.Logger) error {
	traced, err := trace.Sweep()
	if err != nil {
		return err
	}
	swept, err := netns.Sweep()
	if err != nil {
		return err
	}
	swept = append(swept, traced...)
	paths, err := filepath.Glob(filepath.Join(f.dir(), "*"))
	if err != nil {
		return fmt.Errorf("list folders of runs: %w", err)
	}
	for _, path := range paths {
		id := strings.ReplaceAll(filepath.Base(path), "_", ".")
		dead, err := netns.Dead(id, f.of(id).remove)
		if err != nil {
			return err
		}
		if dead {
			swept = append(swept, path)
		}
	}
	if len(swept) > 0 {
		log.Info("removed what earlier runs left", "what", swept)
	}
	return nil
}
