package nic

import (
	"fmt"
	"math/bits"
	"slices"

	"lbctl/rss"
)

// Profile is the default configuration of a NIC under a driver. Profiles are
// data that was read in the files of Origin. They do not say in which tunnels the inner packet is hashed,
// which depends on firmware and on how the driver configures it.
type Profile struct {
	// Name is what NamedProfile takes: "ixgbe", "dpdk-mlx5".
	Name string
	// Driver says which driver and which hardware.
	Driver string
	// Key is the default key, as the driver shows it; nil when it is random.
	Key rss.Key
	// KeyLength is the length of keys in bytes.
	KeyLength int
	// KeySource says where the default key comes from.
	KeySource string
	// KeyReversed is true when the hardware hashes with the bytes of the key in
	// the opposite order of what the driver shows and takes.
	KeyReversed bool
	// Tables are the sizes of the indirection table; the first one is the default.
	Tables []TableSize
	// Blocks is true when the default table gives each queue one run of entries (entry i is
	// i*queues/size) and not entries in turn (i modulo queues).
	Blocks bool
	// TCP to IP are the default hash fields, for both families. With zero, SCTP is hashed like IP.
	TCP, UDP, SCTP, IP rss.Fields
	// Functions are the hash functions; the first one is the default.
	Functions []rss.Function
	// Transforms are the input transforms that can be switched on.
	Transforms []rss.Transform
	// Quirks are the departures of the hardware that Config can express.
	Quirks Quirks
	// DefaultQueue is where packets without a hash go.
	DefaultQueue DefaultQueue
	// Notes are departures that Config cannot express, and warnings.
	Notes []string
	// Origin names the files that this was read in.
	Origin []string
	// Verified is false when some value was not read in a source, or the hardware's arithmetic is
	// not published; Doubt says which.
	Verified bool
	Doubt    string
}

// TableSize is a rule for the size of an indirection table.
type TableSize struct {
	// Entries is the size, or the minimum when PerQueue is not 0.
	Entries int
	// PerQueue is the number of entries for each queue; 0 for a fixed size.
	PerQueue int
	// PowerOfTwo rounds up.
	PowerOfTwo bool
	// When says for which hardware or version.
	When string
}

// Size returns the number of entries for so many queues, which must be at least 1.
func (s TableSize) Size(queues int) int {
	n := s.PerQueue * queues
	if s.PowerOfTwo && n > 1 {
		n = 1 << bits.Len(uint(n-1))
	}
	return max(s.Entries, n)
}

// String returns "128", or "4 per queue", or "at least 256, 2 per queue rounded up to a power of two".
func (s TableSize) String() string {
	text := fmt.Sprint(s.Entries)
	if s.PerQueue > 0 {
		text = fmt.Sprintf("%d per queue", s.PerQueue)
	}
	if s.PowerOfTwo {
		text += " rounded up to a power of two"
	}
	if s.PerQueue > 0 && s.Entries > 0 {
		text = fmt.Sprintf("at least %d, %s", s.Entries, text)
	}
	return text
}

// HardwareKey returns a copy of key in the byte order that the hardware hashes with, for a key that
// the driver shows.
func (p Profile) HardwareKey(key rss.Key) rss.Key {
	key = slices.Clone(key)
	if p.KeyReversed {
		slices.Reverse(key)
	}
	return key
}

// RandomKey tells whether the default key is random, so that it is not known.
func (p Profile) RandomKey() bool { return p.Key == nil }

// Config returns the configuration of the NIC with this many queues, 1 to rss.MaxQueues. If the
// default key is random, the driver is assumed to show Microsoft's; the caller can replace it by
// HardwareKey of the real one.
func (p Profile) Config(queues int) (Config, error) {
	return p.ConfigSize(queues, 0)
}

// ConfigSize is Config with an indirection table of another size; 0 is the default one.
func (p Profile) ConfigSize(queues, size int) (Config, error) {
	if queues < 1 || queues > rss.MaxQueues {
		return Config{}, fmt.Errorf("profile %s over %d queues: want 1 to %d", p.Name, queues, rss.MaxQueues)
	}
	if size == 0 {
		size = p.Tables[0].Size(queues)
	}
	table, err := p.table(size, queues)
	if err != nil {
		return Config{}, fmt.Errorf("profile %s: %w", p.Name, err)
	}
	key := p.Key
	if key == nil {
		key = rss.MicrosoftKey()
	}
	return Config{
		Key: p.HardwareKey(key), Table: table, Function: p.Functions[0], Quirks: p.Quirks, DefaultQueue: p.DefaultQueue,
		TCP4: p.TCP, UDP4: p.UDP, SCTP4: p.SCTP, IP4: p.IP,
		TCP6: p.TCP, UDP6: p.UDP, SCTP6: p.SCTP, IP6: p.IP,
	}, nil
}

func (p Profile) table(size, queues int) (rss.Table, error) {
	table, err := rss.EqualTable(size, queues)
	if p.Blocks {
		for i := range table {
			table[i] = rss.Queue(i * queues / size)
		}
	}
	return table, err
}

// NamedProfile returns the profile of a name.
func NamedProfile(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// Profiles returns a copy of all profiles: the Linux drivers, then those of DPDK.
func Profiles() []Profile {
	return slices.Concat(linuxIntel(), linuxIntelFast(), linuxCloud(), linuxHypervisors(), linuxOthers(), dpdkIntel(), dpdkOthers())
}
