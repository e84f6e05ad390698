package xdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lbctl/lb"

	"golang.org/x/sys/unix"
)

// Root is where a BPF file system is mounted by convention (systemd does so at boot).
const Root = "/sys/fs/bpf"

// MakeDir makes a private directory below a BPF file system, after MountBPFFS.
//
// Errors: lb.ErrUnsupported where there is no BPF file system, lb.ErrDenied.
func MakeDir(dir string) error {
	if err := MountBPFFS(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("prepare %s: %w", dir, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make pin directory: %w", lb.Denied(err))
	}
	return nil
}

// MountBPFFS mounts a BPF file system at a directory that is Root and has none. Another directory must be on one.
//
// Errors: lb.ErrUnsupported where there is no BPF file system, lb.ErrDenied.
func MountBPFFS(dir string) error {
	err := RequireBPFFS(dir)
	if errors.Is(err, errNotBPFFS) && dir == Root {
		if err = unix.Mount("bpffs", Root, "bpf", 0, "mode=0700"); err != nil {
			err = fmt.Errorf("mount the BPF file system: %w", err)
		}
	}
	return lb.Denied(err)
}

// IsEphemeral reports whether the BPF file system of a directory is one that process 1 does not see. What is pinned
// there ends with the last process of its mount namespace: inside ip netns exec, or unshare -m with a mount of its
// own. Each mount of a BPF file system is one of its own, and has its own device number; a bind mount or a copy of
// the mount has the same. It is false where the caller may not see the mounts of process 1. That process 1 is a
// container's, if the caller is in one: a file system that ends with the container counts as lasting.
func IsEphemeral(dir string) bool {
	mounts, err := os.ReadFile("/proc/1/mountinfo")
	if err != nil {
		return false
	}
	var s unix.Stat_t
	if err := unix.Stat(dir, &s); err != nil {
		return false
	}
	device := fmt.Sprintf("%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev))
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == device { // proc_pid_mountinfo(5)
			return false
		}
	}
	return true
}

// RequireLasting returns an error that wraps lb.ErrConflict if what is pinned in a directory ends with the mount namespace.
func RequireLasting(dir string) error {
	if IsEphemeral(dir) {
		return &ephemeralError{dir}
	}
	return nil
}

type ephemeralError struct{ dir string }

func (e *ephemeralError) Error() string {
	return fmt.Sprintf("%v: the BPF file system of %s is not the machine's: what is pinned there, and is attached by it, ends with the last "+
		"process of this mount namespace", lb.ErrConflict, e.dir)
}

// Hint says what to do.
func (e *ephemeralError) Hint() string {
	return "start it where process 1 sees the file system (nsenter --net=/run/netns/NAME, not ip netns exec), or allow that with --ephemeral"
}

func (e *ephemeralError) Unwrap() error { return lb.ErrConflict }

// PrivateMounts reports whether the mount namespace is another than that of process 1. It is false where the
// caller may not see the latter.
func PrivateMounts() bool {
	own, err := os.Readlink("/proc/self/ns/mnt")
	first, err1 := os.Readlink("/proc/1/ns/mnt")
	return err == nil && err1 == nil && own != first
}

var errNotBPFFS = fmt.Errorf("%w: not on a BPF file system (mount -t bpf bpffs %s)", lb.ErrUnsupported, Root)

// RequireBPFFS returns an error unless a directory is on a BPF file system. Errors: lb.ErrUnsupported;
// those of statfs(2).
func RequireBPFFS(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("statfs %s: %w", dir, err)
	}
	if s.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%s: %w", dir, errNotBPFFS)
	}
	return nil
}
