package nic

import (
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// DefaultTableSize is the number of entries of the default indirection table: 128,
// as ixgbe and QEMU's virtio-net have.
const DefaultTableSize = 128

// Config is the configuration of a NIC.
type Config struct {
	Key rss.Key
	// Table is the indirection table, at least one entry.
	Table rss.Table
	// TCP4 to UDP6 are the hash fields of packets of these protocols, fragments excluded; any
	// that are rss.Hashable. Packets with zero are not hashed.
	TCP4, UDP4, TCP6, UDP6 rss.Fields
	// IP4 and IP6 are the hash fields of all other IP packets, fragments included: addresses, and in IP6
	// the flow label. Packets with zero are not hashed.
	IP4, IP6 rss.Fields
	// SCTP4 to AH6 are the hash fields of packets with these headers, fragments excluded; f and n are the halves
	// of the SPI of ESP and AH. With zero such packets use IP4 or IP6.
	SCTP4, SCTP6, ESP4, ESP6, AH4, AH6 rss.Fields
	// Function is the hash function; Toeplitz is the zero value.
	Function rss.Function
	// Transform is applied to the fields before they are hashed. All fields must be
	// symmetric then (rss.Fields.Symmetric).
	Transform rss.Transform
	// Quirks are departures from the definition of the hash; the zero value has none.
	Quirks Quirks
	// Inner are the tunnels whose inner packet is hashed instead of the outer one; the zero value
	// has none.
	Inner packet.Tunnel
	// DefaultQueue is where packets without a hash go; the zero value is queue 0.
	DefaultQueue DefaultQueue
}

// Queues returns the number of queues that the table and the default queue name: the highest, plus one.
func (c Config) Queues() int {
	return max(c.Table.Queues(), int(c.DefaultQueue.Of(c.Table))+1)
}

// Quirks are departures from Microsoft's definition, each found in some hardware (see Profiles).
type Quirks struct {
	// Initial is the initial value of the hash, which is exclusive-ored to the result.
	Initial uint32
	// Sorted is true when the smaller address and the smaller port are hashed first,
	// whichever is the source. This is symmetric, but not a Transform of the kernel.
	Sorted bool
	// LowHalfTwice is true when the upper 16 bits of the hash are a copy of the lower ones.
	LowHalfTwice bool
}

// Default returns the default configuration: Microsoft's key, an
// equal table of DefaultTableSize entries over 1 to rss.MaxQueues queues, the 4-tuple for
// TCP and UDP, the addresses for the rest. The defaults of drivers differ, above all for UDP; see
// Profiles.
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

// Validate returns an error that says what is wrong with the configuration.
func (c Config) Validate() error {
	if err := c.Key.Validate(); err != nil {
		return err
	}
	if len(c.Table) == 0 {
		return fmt.Errorf("indirection table is empty: want at least one entry")
	}
	if err := c.Transform.Validate(); err != nil {
		return err
	}
	if int(c.Function) >= len(rss.FunctionNames()) {
		return fmt.Errorf("hash %v is not known: want one of %q", c.Function, rss.FunctionNames())
	}
	if unknown := c.Inner &^ packet.AllTunnels; unknown != 0 {
		return fmt.Errorf("tunnels %#x are not known: want a set of %v", uint8(unknown), packet.AllTunnels)
	}
	return c.validateFields()
}

// FieldSet is one set of fields of a Config.
type FieldSet struct {
	// Name is ethtool's name of the flow type: "tcp4". "ip4" and "ip6" are names of the kernel that
	// ethtool -n does not have.
	Name string
	// Fields may be written through.
	Fields *rss.Fields
	// Allowed are the fields that such packets have.
	Allowed rss.Fields
}

// FieldSets returns the sets of fields of the Config with their names.
func (c *Config) FieldSets() []FieldSet {
	const v6 = rss.FourTuple | rss.FlowLabel
	return []FieldSet{
		{"tcp4", &c.TCP4, rss.FourTuple}, {"udp4", &c.UDP4, rss.FourTuple}, {"sctp4", &c.SCTP4, rss.FourTuple},
		{"esp4", &c.ESP4, rss.FourTuple}, {"ah4", &c.AH4, rss.FourTuple}, {"ip4", &c.IP4, rss.Addresses},
		{"tcp6", &c.TCP6, v6}, {"udp6", &c.UDP6, v6}, {"sctp6", &c.SCTP6, v6},
		{"esp6", &c.ESP6, v6}, {"ah6", &c.AH6, v6}, {"ip6", &c.IP6, rss.Addresses | rss.FlowLabel},
	}
}

func (c *Config) validateFields() error {
	for _, n := range c.FieldSets() {
		switch fields := *n.Fields; {
		case fields&^rss.Hashable != 0:
			return fmt.Errorf("hash fields %v of %s: in which order a NIC hashes %v is not specified; want %v",
				fields, n.Name, fields&^rss.Hashable, n.Allowed)
		case fields&^n.Allowed != 0:
			return fmt.Errorf("hash fields %v of %s: such packets have %v", fields, n.Name, n.Allowed)
		case c.Transform != rss.NoTransform && !fields.Symmetric():
			return fmt.Errorf("hash fields %v of %s under %v: want both addresses or none, both ports or none, and no other",
				fields, n.Name, c.Transform)
		}
	}
	return nil
}
