package ethtool

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is who is asked. Tests play back what was recorded.
type kernel interface {
	// message sends attributes to the ethtool family and returns the answer's.
	message(command uint8, attributes []byte) ([]byte, error)
	// ioctl exchanges a struct that begins with its command.
	ioctl(name string, b []byte) error
}

// system is the kernel of this machine, in the namespace of the calling thread. The zero value is ready.
type system struct{}

// message implements kernel.
func (system) message(command uint8, attributes []byte) ([]byte, error) {
	return Ask("ethtool", command, attributes)
}

// ioctl implements kernel.
func (system) ioctl(name string, b []byte) error {
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(unsafe.SliceData(b))}
	if len(name) >= len(request.name) {
		return unix.ENODEV
	}
	copy(request.name[:], name)
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open ethtool socket: %w", err)
	}
	defer unix.Close(socket)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(b)
	if errno != 0 {
		return errno
	}
	return nil
}
