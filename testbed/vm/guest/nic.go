package guest

import (
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/packet"
	"lbctl/testbed/vm/line"
)

// nic is the guest's network interface and a socket for its ioctls.
type nic struct {
	name   string
	index  int
	mac    packet.MAC
	socket int
}

// openNIC finds the one interface that has a device below it, and sets it up, with receive
// merging off: every frame is to be seen.
func openNIC() (nic, error) {
	devices, err := filepath.Glob("/sys/class/net/*/device")
	if err != nil || len(devices) != 1 {
		return nic{}, fmt.Errorf("find the NIC: %d interfaces have a device, want one; %v", len(devices), err)
	}
	found, err := net.InterfaceByName(filepath.Base(filepath.Dir(devices[0])))
	if err != nil {
		return nic{}, fmt.Errorf("find the NIC: %w", err)
	}
	n := nic{name: found.Name, index: found.Index, mac: packet.MAC(found.HardwareAddr)}
	if n.socket, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return nic{}, fmt.Errorf("open ethtool socket: %w", err)
	}
	if _, err := n.value(unix.ETHTOOL_SGRO, 0); err != nil {
		return nic{}, fmt.Errorf("switch gro off: %w", err)
	}
	return n, n.up()
}

func (n nic) up() error {
	request, err := unix.NewIfreq(n.name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(n.socket, unix.SIOCGIFFLAGS, request); err != nil {
		return fmt.Errorf("read flags of %s: %w", n.name, err)
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(n.socket, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("set %s up: %w", n.name, err)
	}
	return nil
}

// settings reads all that a change may change.
func (n nic) settings() (s line.Settings, err error) {
	if s.RSS, err = ethtool.Read(n.name); err != nil {
		return s, err
	}
	s.Hash, err = n.hash()
	return s, err
}

// apply makes a change and returns what the driver then says.
//
// The number of queues comes first: with it virtio-net's device forgets its RSS settings
// (QEMU, hw/net/virtio-net.c, virtio_net_handle_mq), which the driver sends whole with each
// change that follows. And before that the table is set to its default, or the kernel
// refuses to take away a queue that the table names (net/ethtool/channels.c).
func (n nic) apply(c line.Change) (line.Settings, error) {
	if err := n.change(ethtool.Change{Table: &rss.TablePlan{}}); err != nil {
		return line.Settings{}, err
	}
	if err := n.setChannels(c.Queues); err != nil {
		return line.Settings{}, err
	}
	if err := n.setHash(c.Hash); err != nil {
		return line.Settings{}, err
	}
	if err := n.change(c.RSS); err != nil {
		return line.Settings{}, err
	}
	return n.settings()
}

// change is ethtool -X and -N.
func (n nic) change(c ethtool.Change) error {
	now, err := ethtool.Read(n.name)
	if err != nil {
		return err
	}
	return ethtool.Apply(now, c)
}

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
