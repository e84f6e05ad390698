package netns

import (
	"errors"
	"fmt"
	"runtime"
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
			// A link that never had a feature refuses: what counts is what it says afterwards.
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
