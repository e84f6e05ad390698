package guest

import (
	"fmt"
	"net"
	"path/filepath"

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
