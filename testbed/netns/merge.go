package netns

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Merge makes the link merge the frames of a connection that arrive in a row, as hosts do (GRO).
// Checksums are verified before. It gives a veth's end NAPI, and so makes it take the frames that XDP sends it.
func (l Link) Merge() error {
	err := l.ethtool(func(socket int) error {
		_, err := ethtool(socket, l.Name, unix.ETHTOOL_SGRO, 1)
		return err
	})
	if err != nil {
		return fmt.Errorf("switch on gro of link %s: %w", l.Name, err)
	}
	return nil
}

// MergeReceived is Merge for a link that receives on a thread of its own, without which a TAP's frames come one at a
// time and there is nothing to merge. The driver must have NAPI;
// a TAP has it with IFF_NAPI. On a link where frames are counted it is out of place.
func (l Link) MergeReceived() error {
	if err := l.Merge(); err != nil {
		return err
	}
	if err := l.namespace.writeSys(filepath.Join("class/net", l.Name, "threaded"), "1"); err != nil {
		return fmt.Errorf("receive on a thread for link %s: %w", l.Name, err)
	}
	return nil
}

// writeSys writes a file of /sys as the namespace sees it. /sys shows the network
// namespace in which it was mounted: so it is mounted anew, out of everybody's
// sight, by a thread that ends with that.
func (n *Namespace) writeSys(path, value string) error {
	t := newThread()
	defer t.stop()
	return t.run(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare mounts: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
			return fmt.Errorf("mount sysfs: %w", err)
		}
		return os.WriteFile(filepath.Join("/sys", path), []byte(value), 0)
	})
}
