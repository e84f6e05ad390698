package rig

import (
	"errors"
	"fmt"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/testbed/netns"
)

// Config says between what a SoftNIC is put, and how it is built.
type Config struct {
	// Wire is the interface of the clients: what they send comes in at the NIC.
	Wire netns.End
	// Host is the interface of the balancer, which has Queues queues.
	Host netns.End
	// NIC classifies. Its table names queues below Queues.
	NIC *nic.NIC
	// Queues is the number of receive queues, 1 to 256; 0: as many as the NIC's table names.
	Queues int
	// Ring is the number of frames that each queue's ring holds; 0: DefaultRing.
	Ring int
	// MTU is that of both interfaces; 0: netns.DefaultMTU. Native XDP on a TAP allows at
	// most some 3,500.
	MTU int
}

// DefaultRing is the number of frames a ring holds where none is given. Drivers have 256 to 4,096.
const DefaultRing = 2048

// maxQueues is MAX_TAP_QUEUES of drivers/net/tun.c.
const maxQueues = 256

func (c Config) withDefaults() Config {
	if c.Queues == 0 && c.NIC != nil {
		c.Queues = c.NIC.Config().Table.Queues()
	}
	if c.Ring == 0 {
		c.Ring = DefaultRing
	}
	if c.MTU == 0 {
		c.MTU = netns.DefaultMTU
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.NIC == nil:
		return errors.New("no nic to classify with")
	case c.Queues < 1 || c.Queues > maxQueues:
		return fmt.Errorf("%d queues: want 1 to %d", c.Queues, maxQueues)
	case c.Ring < 1:
		return fmt.Errorf("ring of %d frames: want at least 1", c.Ring)
	}
	return c.fits(c.NIC.Config().Table)
}

// fits says whether there is a queue for every entry of a table.
func (c Config) fits(t rss.Table) error {
	if n := t.Queues(); n > c.Queues {
		return fmt.Errorf("indirection table names queue %d: there are %d", n-1, c.Queues)
	}
	return nil
}
