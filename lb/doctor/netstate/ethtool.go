package netstate

import (
	"encoding/binary"
	"fmt"

	"lbctl/lb/doctor"
	"lbctl/rss/ethtool"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The family netdev, Linux 6.3 and later (include/uapi/linux/netdev.h).
const (
	netdevGet         = 1 // NETDEV_CMD_DEV_GET
	netdevIndex       = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
)

// features asks what a driver can do in XDP; nil where the kernel does not tell.
func features(index int) *doctor.Features {
	answer, err := ask("netdev", netdevGet, nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	if err != nil {
		return nil
	}
	set, there := answer.number(netdevXDPFeatures)
	if !there {
		return nil
	}
	f := doctor.Features(set)
	return &f
}

// offloads asks for an interface's features; nil where they cannot be read.
func offloads(name string) doctor.Offloads {
	header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
	header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_NAME, nl.ZeroTerminated(name))
	answer, err := ask("ethtool", unix.ETHTOOL_MSG_FEATURES_GET, header)
	if err != nil {
		return nil
	}
	all := doctor.Offloads{}
	hardware := bits(answer.inner(unix.ETHTOOL_A_FEATURES_HW))
	never := bits(answer.inner(unix.ETHTOOL_A_FEATURES_NOCHANGE))
	for name := range bits(answer.inner(unix.ETHTOOL_A_FEATURES_ACTIVE)) {
		all[name] = doctor.Offload{On: true, Fixed: !hardware[name] || never[name]}
	}
	return all
}

// bits returns the names that are set in a bit set with names: all that are listed, unless it has a
// mask, which lists others, too (Documentation/networking/ethtool-netlink.rst, "Bit sets").
func bits(set attributes) map[string]bool {
	all := map[string]bool{}
	listed := set.get(unix.ETHTOOL_A_BITSET_NOMASK) != nil
	for _, bit := range set.inner(unix.ETHTOOL_A_BITSET_BITS) {
		inside, err := parse(bit.value)
		if err == nil && (listed || inside.get(unix.ETHTOOL_A_BITSET_BIT_VALUE) != nil) {
			all[unix.ByteSliceToString(inside.get(unix.ETHTOOL_A_BITSET_BIT_NAME))] = true
		}
	}
	return all
}

// ask sends a message to a family of generic netlink and returns the answer's attributes.
func ask(family string, command uint8, about *nl.RtAttr) (attributes, error) {
	answer, err := ethtool.Ask(family, command, about.Serialize())
	if err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, fmt.Errorf("netlink family %s: no answer", family)
	}
	return parse(answer)
}

// attributes are those of a message, in order.
type attributes []attribute

type attribute struct {
	kind  uint16
	value []byte
}

// parse reads attributes.
func parse(b []byte) (attributes, error) {
	list, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, fmt.Errorf("read attributes: %w", err)
	}
	var all attributes
	for _, a := range list {
		all = append(all, attribute{a.Attr.Type & nl.NLA_TYPE_MASK, a.Value})
	}
	return all, nil
}

// get returns an attribute's value, nil if it is not there.
func (all attributes) get(kind uint16) []byte {
	for _, a := range all {
		if a.kind == kind {
			return a.value
		}
	}
	return nil
}

// inner returns the attributes inside another one, none if it is not there or not well formed.
func (all attributes) inner(kind uint16) attributes {
	inside, _ := parse(all.get(kind))
	return inside
}

// number reads 4 or 8 bytes.
func (all attributes) number(kind uint16) (uint64, bool) {
	switch v := all.get(kind); len(v) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(v)), true
	case 8:
		return binary.NativeEndian.Uint64(v), true
	}
	return 0, false
}
