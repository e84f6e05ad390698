package guest

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What package ethtool of rss does not set. The structs are those of include/uapi/linux/ethtool.h.

// channels is struct ethtool_channels.
type channels struct {
	command                             uint32
	maxRX, maxTX, maxOther, maxCombined uint32
	rx, tx, other, combined             uint32
}

// value is struct ethtool_value.
type value struct{ command, data uint32 }

// ioctl hands one of those structs to the driver.
func (n nic) ioctl(argument unsafe.Pointer) error {
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: argument}
	copy(request.name[:], n.name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(argument)
	if errno != 0 {
		return errno
	}
	return nil
}

// value hands a number to the driver, and returns the one that it answers.
func (n nic) value(command, data uint32) (uint32, error) {
	v := value{command, data}
	err := n.ioctl(unsafe.Pointer(&v))
	return v.data, err
}

// setChannels is ethtool -L combined.
func (n nic) setChannels(queues int) error {
	c := channels{command: unix.ETHTOOL_GCHANNELS}
	if err := n.ioctl(unsafe.Pointer(&c)); err != nil {
		return fmt.Errorf("read channels: %w", err)
	}
	c.command, c.combined = unix.ETHTOOL_SCHANNELS, uint32(queues)
	if err := n.ioctl(unsafe.Pointer(&c)); err != nil {
		return fmt.Errorf("set channels to %d: %w", queues, err)
	}
	return nil
}

// rxhash is the bit of ethtool -K rxhash in ETHTOOL_GFLAGS and ETHTOOL_SFLAGS (ETH_FLAG_RXHASH).
const rxhash = 1 << 28

// hash reads ethtool -k receive-hashing.
func (n nic) hash() (bool, error) {
	flags, err := n.value(unix.ETHTOOL_GFLAGS, 0)
	if err != nil {
		return false, fmt.Errorf("read flags: %w", err)
	}
	return flags&rxhash != 0, nil
}

// setHash is ethtool -K rxhash on or off.
func (n nic) setHash(on bool) error {
	flags, err := n.value(unix.ETHTOOL_GFLAGS, 0)
	if err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	flags &^= rxhash
	if on {
		flags |= rxhash
	}
	if _, err := n.value(unix.ETHTOOL_SFLAGS, flags); err != nil {
		return fmt.Errorf("set rxhash: %w", err)
	}
	return nil
}
