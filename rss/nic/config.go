package nic

import (
	"fmt"
	"slices"

	"lbctl/rss"
)

// DefaultTableSize is the number of entries of the default indirection table: 128,
// as ixgbe, ice and QEMU's virtio-net have.
const DefaultTableSize = 128

// Config is how a NIC is set up. A zero Fields means: not hashed, to queue 0.
type Config struct {
	Key rss.Key
	// Table is the indirection table, at least one entry.
	Table rss.Table
	// TCP4 to UDP6 are the fields hashed of whole packets of these protocols:
	// none, rss.Addresses or rss.FourTuple.
	TCP4, UDP4, TCP6, UDP6 rss.Fields
	// IP4 and IP6 are those of every other IP packet, fragments included: none or
	// rss.Addresses.
	IP4, IP6 rss.Fields
}

// Default returns the set-up that is meant where none is named: Microsoft's key, an
// equal table of DefaultTableSize entries over 1 to rss.MaxQueues queues, the 4-tuple for
// TCP and UDP, the addresses for the rest. (Drivers differ on UDP: mlx5, ice and
// virtio-net hash its ports by default, igb and ixgbe do not.)
func Default(queues int) (Config, error) {
	table, err := rss.EqualTable(DefaultTableSize, queues)
	if err != nil {
		return Config{}, err
	}
	return Config{
		Key: rss.MicrosoftKey(), Table: table,
		TCP4: rss.FourTuple, UDP4: rss.FourTuple, IP4: rss.Addresses,
		TCP6: rss.FourTuple, UDP6: rss.FourTuple, IP6: rss.Addresses,
	}, nil
}

func (c Config) clone() Config {
	c.Key, c.Table = slices.Clone(c.Key), slices.Clone(c.Table)
	return c
}

func (c Config) validate() error {
	if err := c.Key.Validate(); err != nil {
		return err
	}
	if len(c.Table) == 0 {
		return fmt.Errorf("indirection table is empty: want at least one entry")
	}
	for _, ports := range []rss.Fields{c.TCP4, c.UDP4, c.TCP6, c.UDP6} {
		if ports != 0 && ports != rss.Addresses && ports != rss.FourTuple {
			return fmt.Errorf("hash fields %v of tcp or udp: want none, %v or %v", ports, rss.Addresses, rss.FourTuple)
		}
	}
	for _, other := range []rss.Fields{c.IP4, c.IP6} {
		if other != 0 && other != rss.Addresses {
			return fmt.Errorf("hash fields %v of ip: want none or %v", other, rss.Addresses)
		}
	}
	return nil
}
