package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offload is a feature of a link by its two ethtool commands (include/uapi/linux/ethtool.h).
type offload struct {
	name     string
	get, set uint32
}

// offloads are in the order in which they can be switched off: segmentation needs checksums.
func offloads() []offload {
	return []offload{
		{"gro", unix.ETHTOOL_GGRO, unix.ETHTOOL_SGRO},
		{"gso", unix.ETHTOOL_GGSO, unix.ETHTOOL_SGSO},
		{"tso", unix.ETHTOOL_GTSO, unix.ETHTOOL_STSO},
		{"tx-checksumming", unix.ETHTOOL_GTXCSUM, unix.ETHTOOL_STXCSUM},
	}
}

// OffloadsOff switches off receive merging (GRO), segmentation (GSO, TSO) and transmit checksumming, and
// reads them back: then a packet on the link is a frame with a whole checksum. Attaching
// XDP to a veth switches GRO on again (drivers/net/veth.c, veth_xdp_set).
func (l Link) OffloadsOff() error {
	var refused []error
	err := l.ethtool(func(socket int) error {
		for _, o := range offloads() {
			// A link that never had a feature refuses to change it: the result is read back below.
			if _, err := ethtool(socket, l.Name, o.set, 0); err != nil {
				refused = append(refused, fmt.Errorf("%s: %w", o.name, err))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	on, err := l.Offloads()
	if err != nil {
		return err
	}
	if len(on) != 0 {
		return fmt.Errorf("switch offloads of link %s off: %v still on: %w", l.Name, on, errors.Join(refused...))
	}
	return nil
}

// OffloadsOn leaves checksums and segmentation to hardware, as every veth does that nobody has told otherwise: what a
// sender hands over is a packet of many segments, without their checksums.
func (l Link) OffloadsOn() error {
	return l.ethtool(func(socket int) error {
		for _, o := range slices.Backward(offloads()[1:]) { // not GRO; segmentation needs checksums
			if _, err := ethtool(socket, l.Name, o.set, 1); err != nil {
				return fmt.Errorf("switch %s of link %s on: %w", o.name, l.Name, err)
			}
		}
		return nil
	})
}

// Offloads returns the names of those that are on, as `ethtool -k` abbreviates them.
func (l Link) Offloads() ([]string, error) {
	var on []string
	err := l.ethtool(func(socket int) error {
		for _, o := range offloads() {
			value, err := ethtool(socket, l.Name, o.get, 0)
			if err != nil {
				return fmt.Errorf("read %s of link %s: %w", o.name, l.Name, err)
			}
			if value != 0 {
				on = append(on, o.name)
			}
		}
		return nil
	})
	return on, err
}

// ethtool runs f with a socket of the link's namespace.
func (l Link) ethtool(f func(socket int) error) error {
	return l.namespace.Do(func() error {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open ethtool socket: %w", err)
		}
		defer unix.Close(s)
		return f(s)
	})
}

// ethtool passes a struct ethtool_value to the link's driver and returns its data.
func ethtool(socket int, link string, command, data uint32) (uint32, error) {
	value := struct{ command, data uint32 }{command, data}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	if len(link) >= len(request.name) {
		return 0, unix.ENAMETOOLONG
	}
	copy(request.name[:], link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&value)
	if errno != 0 {
		return 0, errno
	}
	return value.data, nil
}

// Merge makes the link merge consecutive frames of a connection, as hosts do (GRO), after it has verified their
// checksums. GRO gives a veth's end NAPI, so that it receives the frames that XDP sends to it.
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

// MergeReceived is Merge for a TAP: it also moves reception to a kernel thread. Without the thread frames are
// received one at a time and there is nothing to merge. The driver must have NAPI; a TAP has it with IFF_NAPI. Do not
// use it on a link where frames are counted.
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
// namespace in which it was mounted. So a thread of its own mounts it anew in a private mount
// namespace, and ends.
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
