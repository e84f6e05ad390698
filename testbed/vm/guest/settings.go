package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetModeration is ethtool -C NIC rx-usecs: the least time between two interrupts of the NIC, in microseconds. 0 switches
// the driver's moderation off.
func SetModeration(name string, microseconds int) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open ethtool socket: %w", err)
	}
	defer unix.Close(socket)
	n := nic{name: name, socket: socket}
	// struct ethtool_coalesce begins with the command and rx_coalesce_usecs.
	c := struct {
		command, microseconds uint32
		_                     [21]uint32
	}{command: unix.ETHTOOL_GCOALESCE}
	if err := n.ioctl(unsafe.Pointer(&c)); err != nil {
		return fmt.Errorf("read moderation of %s: %w", name, err)
	}
	c.command, c.microseconds = unix.ETHTOOL_SCOALESCE, uint32(microseconds)
	if err := n.ioctl(unsafe.Pointer(&c)); err != nil {
		return fmt.Errorf("set moderation of %s to %d us: %w", name, microseconds, err)
	}
	return nil
}

// Set writes a setting of a NIC, a file of /sys/class/net/NIC ("threaded"), unless it has the value already.
func Set(nic, file, value string) error {
	path := filepath.Join("/sys/class/net", nic, file)
	if now, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(now)) == value {
		return nil
	}
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("set %s of %s: %w", file, nic, err)
	}
	return nil
}

// Interrupt is the interrupt of a NIC's reception: of the NIC, or of its first receive queue.
type Interrupt struct {
	Number int
	// Name is the one of the kernel's messages.
	Name string
	// Count is how often it came.
	Count uint64
}

// ReceiveInterrupt reads that of a NIC from /proc/interrupts.
func ReceiveInterrupt(nic string) (Interrupt, error) {
	device, err := os.Readlink(filepath.Join("/sys/class/net", nic, "device"))
	if err != nil {
		return Interrupt{}, fmt.Errorf("find interrupt of %s: %w", nic, err)
	}
	text, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		return Interrupt{}, fmt.Errorf("find interrupt of %s: %w", nic, err)
	}
	return receiveInterrupt(string(text), nic, filepath.Base(device))
}

// receiveInterrupt reads the lines "NUMBER: COUNT... CONTROLLER NAME" of one processor.
func receiveInterrupt(text, nic, device string) (i Interrupt, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		if i.Name = fields[len(fields)-1]; i.Name != nic && i.Name != device+"-input.0" {
			continue
		}
		if i.Number, err = strconv.Atoi(strings.TrimSuffix(fields[0], ":")); err != nil {
			continue
		}
		i.Count, err = strconv.ParseUint(fields[1], 10, 64)
		return i, err
	}
	return Interrupt{}, fmt.Errorf("find interrupt of %s: /proc/interrupts has none", nic)
}
