package replay

import (
	"errors"
	"fmt"
	"time"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// Measure says what the load of a queue is.
type Measure string

// The measures. Packets are what costs a core most.
const (
	Packets Measure = "packets"
	Bytes   Measure = "bytes"
)

// Options say what is done with a capture. The zero value of all but NIC and Queues has a meaning.
type Options struct {
	NIC *nic.NIC
	// Queues is the number of receive queues, at least as many as tables name: those that get
	// nothing count too.
	Queues int
	// Measure is that of the best achievable, the verdict and the top flows; zero stands for Packets.
	Measure Measure
	// Change rewrites the indirection table on the way; nil leaves it.
	Change *Change
	// Others are set-ups to hold against the first.
	Others []Other
	// Window is the width of windows over time; 0 for none. It is doubled as often as it takes
	// to keep their number bounded.
	Window time.Duration
	// Top is how many of the largest flows are named.
	Top int
	// Seed decides the by-chance band of the load.
	Seed uint64
}

// Change is a rewrite of the indirection table.
type Change struct {
	// Packet is how many packets come before it; with After it is not used.
	Packet uint64
	// After is the time from the first packet to it; 0 where Packet says when.
	After time.Duration
	Table rss.Table
}

// Other is another set-up of the NIC.
type Other struct {
	Name   string
	NIC    *nic.NIC
	Queues int
}

// validate returns the options with defaults filled in.
func (o Options) validate() (Options, error) {
	if o.Measure == "" {
		o.Measure = Packets
	}
	switch {
	case o.NIC == nil:
		return o, errors.New("no nic")
	case o.Measure != Packets && o.Measure != Bytes:
		return o, fmt.Errorf("load measured in %q: want %s or %s", o.Measure, Packets, Bytes)
	case o.Window < 0:
		return o, fmt.Errorf("window of %v: want a time above 0", o.Window)
	}
	o.Queues = max(o.Queues, o.NIC.Config().Table.Queues())
	if c := o.Change; c != nil {
		if len(c.Table) == 0 {
			return o, errors.New("change to an empty indirection table")
		}
		o.Queues = max(o.Queues, c.Table.Queues())
	}
	for i, other := range o.Others {
		o.Others[i].Queues = max(other.Queues, other.NIC.Config().Table.Queues())
	}
	return o, nil
}
