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

// sweepDead sweeps a run if it is dead, holding its lock meanwhile.
func sweepDead(id string) ([]string, error) {
	lock, err := acquire(id)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer release(lock)
	return sweepRun(id)
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
