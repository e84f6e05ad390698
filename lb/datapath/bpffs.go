package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lbctl/lb"

	"golang.org/x/sys/unix"
)

// bpffsRoot is where a BPF file system is mounted by convention (systemd does so at boot).
const bpffsRoot = "/sys/fs/bpf"

// oldestKernel has what the datapath uses: BPF links for XDP (5.9) and the
// statistics and helpers of the 5.15 long-term series, the oldest that is tested for.
var oldestKernel = [2]int{5, 15}

func (d *Datapath) checkKernel() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("read kernel version: %w", err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n != 2 {
		return fmt.Errorf("%w: kernel version %q", lb.ErrUnsupported, release)
	}
	if major < oldestKernel[0] || major == oldestKernel[0] && minor < oldestKernel[1] {
		return fmt.Errorf("%w: kernel %s is too old, %d.%d or later is needed", lb.ErrUnsupported, release, oldestKernel[0], oldestKernel[1])
	}
	return nil
}

// makeDir makes the private pin directory, mounting the BPF file system at its
// usual place if nothing did so.
func (d *Datapath) makeDir() error {
	dir := d.options.Dir
	err := requireBPFFS(filepath.Dir(dir))
	if errors.Is(err, errNotBPFFS) && filepath.Dir(dir) == bpffsRoot {
		err = d.mountBPFFS()
	}
	if err != nil {
		return fmt.Errorf("prepare %s: %w", dir, denied(err))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make pin directory: %w", denied(err))
	}
	return nil
}

// mountBPFFS mounts what systemd mounts at boot. In a mount namespace that is not
// the machine's it ends with the namespace, and the pins with it: that is said.
func (d *Datapath) mountBPFFS() error {
	if err := unix.Mount("bpffs", bpffsRoot, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount the BPF file system: %w", err)
	}
	d.options.Logger.Info("mounted the BPF file system", "at", bpffsRoot)
	own, err := os.Readlink("/proc/self/ns/mnt")
	machine, err1 := os.Readlink("/proc/1/ns/mnt")
	if err == nil && err1 == nil && own != machine {
		d.options.Logger.Warn("the BPF file system is in a mount namespace that is not the machine's: when the last process in it ends, "+
			"balancing ends too (ip netns exec makes such a one, nsenter --net does not)", "namespace", own)
	}
	return nil
}

var errNotBPFFS = fmt.Errorf("%w: not on a BPF file system (mount -t bpf bpffs %s)", lb.ErrUnsupported, bpffsRoot)

func requireBPFFS(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("statfs %s: %w", dir, err)
	}
	if s.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%s: %w", dir, errNotBPFFS)
	}
	return nil
}
