package ethtool

import (
	"fmt"
	"strings"
)

// FlowType is a kind of packets for which a NIC hashes the same fields, by the name that
// ethtool -n IFACE rx-flow-hash has for it: "tcp4".
type FlowType string

// The flow types that can be asked for and set.
const (
	TCP4  FlowType = "tcp4"
	UDP4  FlowType = "udp4"
	SCTP4 FlowType = "sctp4"
	AH4   FlowType = "ah4"
	ESP4  FlowType = "esp4"
	IP4   FlowType = "ip4"
	TCP6  FlowType = "tcp6"
	UDP6  FlowType = "udp6"
	SCTP6 FlowType = "sctp6"
	AH6   FlowType = "ah6"
	ESP6  FlowType = "esp6"
	IP6   FlowType = "ip6"
)

// numbers are those of a flow type in the two interfaces: *_FLOW of ethtool.h, and
// ETHTOOL_A_FLOW_* of the netlink family.
type numbers struct {
	name      FlowType
	ioctl     uint32
	attribute uint16
}

// flowTypes lists all of them, in the order in which they are shown.
func flowTypes() []numbers {
	return []numbers{
		{TCP4, 0x01, 4}, {UDP4, 0x02, 6}, {SCTP4, 0x03, 8}, {AH4, 0x09, 10}, {ESP4, 0x0a, 12}, {IP4, 0x10, 2},
		{TCP6, 0x05, 5}, {UDP6, 0x06, 7}, {SCTP6, 0x07, 9}, {AH6, 0x0b, 11}, {ESP6, 0x0c, 13}, {IP6, 0x11, 3},
	}
}

// FlowTypes returns all flow types in the order in which they are shown.
func FlowTypes() []FlowType {
	all := make([]FlowType, 0, len(flowTypes()))
	for _, t := range flowTypes() {
		all = append(all, t.name)
	}
	return all
}

// ParseFlowType reads a flow type's name. The error lists those that there are.
func ParseFlowType(s string) (FlowType, error) {
	if _, err := numbersOf(FlowType(s)); err != nil {
		return "", err
	}
	return FlowType(s), nil
}

func numbersOf(name FlowType) (numbers, error) {
	var names []string
	for _, t := range flowTypes() {
		if t.name == name {
			return t, nil
		}
		names = append(names, string(t.name))
	}
	return numbers{}, fmt.Errorf("flow type %q is not known: want %s", string(name), strings.Join(names, ", "))
}
