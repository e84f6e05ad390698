package xdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lbctl/lb"

	"golang.org/x/sys/unix"
)

// Root is where a BPF file system is mounted by convention (systemd does so at boot).
const Root = "/sys/fs/bpf"

// MakeDir makes a private directory below a BPF file system. If nothing is mounted at Root it mounts one
// there. ephemeral reports that the mount is in a mount namespace other than that of process 1: what is
// pinned there ends with the last process of that namespace (ip netns exec makes one, nsenter --net does not).
//
// Errors: lb.ErrUnsupported where there is no BPF file system, lb.ErrDenied.
func MakeDir(dir string) (ephemeral bool, err error) {
	err = RequireBPFFS(filepath.Dir(dir))
	if errors.Is(err, errNotBPFFS) && filepath.Dir(dir) == Root {
		ephemeral, err = mountBPFFS()
	}
	if err != nil {
		return ephemeral, fmt.Errorf("prepare %s: %w", dir, lb.Denied(err))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return ephemeral, fmt.Errorf("make pin directory: %w", lb.Denied(err))
	}
	return ephemeral, nil
}

func mountBPFFS() (ephemeral bool, err error) {
	if err := unix.Mount("bpffs", Root, "bpf", 0, "mode=0700"); err != nil {
		return false, fmt.Errorf("mount the BPF file system: %w", err)
	}
	return PrivateMounts(), nil
}

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
