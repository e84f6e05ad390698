package ethtool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// kernel answers requests. Tests play back recorded answers.
type kernel interface {
	// message sends attributes to the ethtool family and returns the answer's.
	message(command uint8, attributes []byte) ([]byte, error)
	// dump asks for all of a kind and returns the attributes of each answer.
	dump(command uint8, attributes []byte) ([][]byte, error)
	// ioctl sends a struct that begins with its command and overwrites it by the answer.
	ioctl(name string, b []byte) error
}

// system is the kernel of this machine, in the namespace of the calling thread. The zero value is ready.
type system struct{}

// message implements kernel.
func (system) message(command uint8, attributes []byte) ([]byte, error) {
	return Ask("ethtool", command, attributes)
}

// dump implements kernel.
func (system) dump(command uint8, attributes []byte) ([][]byte, error) {
	number, err := familyOf("ethtool")
	if err != nil {
		return nil, fmt.Errorf("find netlink family ethtool: %w", err)
	}
	return exchangeAll(number, unix.NLM_F_DUMP, command, familyVersion, attributes)
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

// familyVersion is ETHTOOL_GENL_VERSION, and NETDEV_FAMILY_VERSION.
const familyVersion = 1

// Ask sends a message to a family of generic netlink ("ethtool", "netdev"), in the namespace of the calling
// thread, and returns the attributes of its answer: nil for an acknowledgement alone. Errors: the kernel's.
func Ask(family string, command uint8, attributes []byte) ([]byte, error) {
	number, err := familyOf(family)
	if err != nil {
		return nil, fmt.Errorf("find netlink family %s: %w", family, err)
	}
	return converse(number, unix.NLM_F_ACK, command, familyVersion, attributes)
}

// familyOf returns the number of a family.
func familyOf(name string) (int, error) {
	question := nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(name)).Serialize()
	answer, err := converse(nl.GENL_ID_CTRL, 0, nl.GENL_CTRL_CMD_GETFAMILY, nl.GENL_CTRL_VERSION, question)
	if err != nil {
		return 0, err
	}
	attributes, err := nl.ParseRouteAttr(answer)
	if err != nil {
		return 0, fmt.Errorf("read attributes: %w", err)
	}
	for _, a := range attributes {
		if a.Attr.Type == nl.GENL_CTRL_ATTR_FAMILY_ID && len(a.Value) >= 2 {
			return int(binary.NativeEndian.Uint16(a.Value)), nil
		}
	}
	return 0, errors.New("the answer has no number")
}

// converse sends one message and returns what follows the header of its answer.
func converse(family, flags int, command, version uint8, attributes []byte) ([]byte, error) {
	answers, err := exchangeAll(family, flags, command, version, attributes)
	if err != nil || len(answers) == 0 {
		return nil, err
	}
	return answers[0], nil
}

// exchangeAll sends one message and returns what follows the header of each of its answers.
//
// It does not use nl.Genlmsg or its sender (netlink.GenlFamilyGet): the struct is two bytes short, so that the two
// reserved bytes, which must be 0, are sent from the memory after it.
func exchangeAll(family, flags int, command, version uint8, attributes []byte) ([][]byte, error) {
	request := nl.NewNetlinkRequest(family, flags)
	request.AddRawData([]byte{command, version, 0, 0})
	request.AddRawData(attributes)
	answers, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, answer := range answers {
		if len(answer) >= nl.SizeofGenlmsg {
			all = append(all, answer[nl.SizeofGenlmsg:])
		}
	}
	return all, nil
}
