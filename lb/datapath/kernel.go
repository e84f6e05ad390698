package datapath

import (
	"fmt"

	"lbctl/lb"
	"lbctl/lb/xdp"

	"golang.org/x/sys/unix"
)

// oldestKernel is the oldest kernel that has what the datapath uses: BPF links for XDP (5.9), and the
// statistics and helpers of the 5.15 long-term series, which is the oldest that is tested.
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

// makeDir makes the private pin directory, mounting the BPF file system at its usual place if nothing did so.
func (d *Datapath) makeDir() error {
	ephemeral, err := xdp.MakeDir(d.options.Dir)
	if err == nil && ephemeral {
		d.options.Logger.Warn("the BPF file system is in a mount namespace that is not the machine's: when the last process in it ends, " +
			"balancing ends too (ip netns exec makes such a one, nsenter --net does not)")
	}
	return err
}
