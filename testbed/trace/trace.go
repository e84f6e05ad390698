// Package trace records what the kernel does, by its own tracer (Documentation/trace/ftrace.rst): an Instance is a
// tracer with filters and a buffer of its own, so that it disturbs nobody else's tracing and nobody else's records
// are in it.
//
// The tracer's file system is mounted for this process alone, without a place in the tree of files. An instance
// belongs to a run, as a namespace does, and bears its id: what a crashed run left is removed by Sweep.
package trace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// root returns the path of the tracer's file system, mounted once for this process.
var root = sync.OnceValues(func() (string, error) {
	context, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("open tracefs: %w: this kernel has no tracer", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return "", fmt.Errorf("make tracefs: %w", err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("mount tracefs: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d", mount), nil
})

// instances returns the folder of all instances.
func instances() (string, error) {
	at, err := root()
	return filepath.Join(at, "instances"), err
}

// Instance is a tracer of its own. It records nothing until Start. Not safe for concurrent use.
type Instance struct{ dir string }

// New makes an instance called lbctl-RUN-NAME; run is the id of a run that lives (netns.Run.ID). Names are letters,
// digits and dashes. Its records have the time of CLOCK_MONOTONIC. It needs root, and is removed by Close.
func New(run, name string) (*Instance, error) {
	all, err := instances()
	if err != nil {
		return nil, err
	}
	i := &Instance{dir: filepath.Join(all, netns.Prefix+run+"-"+name)}
	if err := remove(i.dir); err != nil { // of a dead process of the same number
		return nil, err
	}
	if err := os.Mkdir(i.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make tracing instance %s: %w", name, err)
	}
	if err := errors.Join(i.Stop(), i.Set("trace_clock", "mono")); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// Close ends the recording and removes the instance. A second call does nothing.
func (i *Instance) Close() error { return remove(i.dir) }

func remove(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove tracing instance: %w", err)
	}
	return nil
}

// Sweep removes the instances of runs whose process is gone, and returns their names. Where the kernel has no
// tracer there are none.
func Sweep() (swept []string, err error) {
	all, err := instances()
	if err != nil {
		return nil, nil
	}
	found, err := filepath.Glob(filepath.Join(all, netns.Prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("list tracing instances: %w", err)
	}
	var failed []error
	for _, dir := range found {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), netns.Prefix), "-")
		if strings.Trim(id, "0123456789.") != "" {
			continue // somebody else's
		}
		dead, err := netns.Dead(id, func() error { return remove(dir) })
		if dead && err == nil {
			swept = append(swept, filepath.Base(dir))
		}
		failed = append(failed, err)
	}
	return swept, errors.Join(failed...)
}
