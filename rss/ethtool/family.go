package ethtool

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

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
//
// Neither nl.Genlmsg nor what sends it (netlink.GenlFamilyGet): it is two bytes short, and sends whatever is in
// memory behind it as the reserved ones, which the kernel wants to be 0.
func converse(family, flags int, command, version uint8, attributes []byte) ([]byte, error) {
	request := nl.NewNetlinkRequest(family, flags)
	request.AddRawData([]byte{command, version, 0, 0})
	request.AddRawData(attributes)
	answers, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return nil, err
	}
	if len(answers) == 0 || len(answers[0]) < nl.SizeofGenlmsg {
		return nil, nil
	}
	return answers[0][nl.SizeofGenlmsg:], nil
}
