package ethtool

import (
	"fmt"
	"math/bits"
	"strings"

	"lbctl/rss"
)

// Channels are the queues that a driver has set up, each with its own interrupt.
type Channels struct {
	RX       int `json:"rx"`
	TX       int `json:"tx"`
	Other    int `json:"other"`
	Combined int `json:"combined"`
	// MaxRX to MaxCombined are the limits of the driver.
	MaxRX       int `json:"max_rx"`
	MaxTX       int `json:"max_tx"`
	MaxOther    int `json:"max_other"`
	MaxCombined int `json:"max_combined"`
}

// Receive returns the number of channels that receive.
func (c Channels) Receive() int { return c.RX + c.Combined }

// Settings are how an interface spreads received packets.
type Settings struct {
	Interface string
	// Driver is its name, empty if it has none; Bus is the driver's name for the device, "tap" for a TAP.
	Driver, Bus string
	// Channels are nil where the driver does not report them.
	Channels *Channels
	// Queues is the number of receive queues in use, at least 1.
	Queues int
	// Key is empty where the driver does not report it, Table where there is no RSS.
	Key   rss.Key
	Table rss.Table
	// Functions are the hash functions that are on: one, or none where the driver does not report it.
	Functions []rss.Function
	Transform rss.Transform
	// Fields are the hash fields of the flow types that the driver reports.
	Fields map[FlowType]rss.Fields
	// By is the interface that the kernel answered by: "netlink" or "ioctl".
	By string
	// Context is 0 for the settings of the interface itself.
	Context Context
	// Contexts are the additional contexts; empty also where the kernel does not list them.
	Contexts []Settings
}

// What By can be.
const (
	byNetlink = "netlink"
	byIoctl   = "ioctl"
)

// setFunctions sets Functions from a bit set (ETH_RSS_HASH_* of ethtool.h).
func (s *Settings) setFunctions(set uint64) {
	s.Functions = nil
	for ; set != 0; set &= set - 1 {
		s.Functions = append(s.Functions, rss.Function(bits.TrailingZeros64(set)))
	}
}

// HasRSS tells whether the interface has an indirection table.
func (s Settings) HasRSS() bool { return len(s.Table) > 0 }

// FlowType is a class of packets for which a NIC hashes the same fields, named as in
// ethtool -n IFACE rx-flow-hash: "tcp4".
type FlowType string

// The flow types that can be read and set.
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

// numbers are the numbers of a flow type: *_FLOW of ethtool.h for the ioctl, and
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

// ParseFlowType reads a flow type's name. The error lists all names.
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
