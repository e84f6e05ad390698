package ethtool

import (
	"math/bits"

	"lbctl/rss"
)

// Channels are the queues that a driver has set up, each with an interrupt of its own.
type Channels struct {
	RX       int `json:"rx"`
	TX       int `json:"tx"`
	Other    int `json:"other"`
	Combined int `json:"combined"`
	// MaxRX and MaxCombined are how many there can be.
	MaxRX       int `json:"max_rx"`
	MaxTX       int `json:"max_tx"`
	MaxOther    int `json:"max_other"`
	MaxCombined int `json:"max_combined"`
}

// Receive returns the number of channels that receive.
func (c Channels) Receive() int { return c.RX + c.Combined }

// Settings are how an interface spreads what it receives.
type Settings struct {
	Interface string
	// Driver is its name, empty if there is none; Bus is the driver's name for the device, of a TAP "tap".
	Driver, Bus string
	// Channels are nil where the driver does not tell.
	Channels *Channels
	// Queues is the number of receive queues in use, at least 1.
	Queues int
	// Key is empty where the driver does not tell it, Table where there is no RSS.
	Key   rss.Key
	Table rss.Table
	// Functions are the hash functions that are on: one, or none where the driver does not tell.
	Functions []rss.Function
	Transform rss.Transform
	// Fields are those hashed, by the flow types of which the driver tells.
	Fields map[FlowType]rss.Fields
	// By says how the kernel was asked: "netlink" or "ioctl".
	By string
}

// setFunctions takes the set of functions that are on, a bit each (ETH_RSS_HASH_* of ethtool.h).
func (s *Settings) setFunctions(set uint64) {
	s.Functions = nil
	for ; set != 0; set &= set - 1 {
		s.Functions = append(s.Functions, rss.Function(bits.TrailingZeros64(set)))
	}
}

// HasRSS tells whether the interface has an indirection table.
func (s Settings) HasRSS() bool { return len(s.Table) > 0 }
