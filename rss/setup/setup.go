// Package setup turns a description of a NIC in words, as command-line flags or assignments such as
// "queues=8,udp4=sd" give it, into the configuration of the model in package nic. Words that are not
// given take the value of a profile, of nic.Default without one, or of the NIC that is described (Over).
package setup

import (
	"fmt"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// DefaultQueues is the number of receive queues that commands assume.
const DefaultQueues = 4

// Setup describes a NIC. An empty word is one that was not given.
type Setup struct {
	// Real is a NIC of this machine that the other words change; nil without one.
	Real *Real
	// Profile names the NIC and driver that the other words change.
	Profile string
	// Key is a key in the words of ParseKey, in the byte order of the profile's driver.
	Key string
	// Queues is the number of receive queues, 1 to rss.MaxQueues; only Over, and Config with Real, take 0.
	Queues int
	// Table is the number of entries of the indirection table, nil for the default.
	Table *int
	// Fill fills the table in the words of ethtool -X, or @FILE reads it with ReadTable.
	Fill string
	// Function and Transform have ethtool's names. Inner is a set of tunnels, "vxlan+gre" or "all".
	Function, Transform, Inner string
	// DefaultQueue is where packets without a hash go: the number of a queue, or "entry-0".
	DefaultQueue string
	// Fields are hash fields, "sd" for all packets that have them or "udp4=sd" for one flow type.
	Fields []string
}

// Real is what was read from a NIC.
type Real struct {
	Config nic.Config
	Queues int
	// Assumed says what the driver does not report.
	Assumed []string
}

// QueueCount returns the number of receive queues of a configuration that the words describe.
func (s Setup) QueueCount(config nic.Config) int {
	queues := s.Queues
	if queues == 0 && s.Real != nil {
		queues = s.Real.Queues
	}
	return max(queues, config.Queues())
}

// OptionError says which word of a Setup is wrong. Config, NIC and Over return no other error.
type OptionError struct {
	// Option is the word's name, which is also the name of the flag.
	Option string
	// Given is a name that is not one of Known; both are empty where the word is no name of a list.
	Given string
	Known []string
	Err   error
}

// Error implements error.
func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap returns the error without the option's name.
func (e *OptionError) Unwrap() error { return e.Err }

// option wraps an error that is not nil.
func option(name string, err error) error {
	if err == nil {
		return nil
	}
	return &OptionError{Option: name, Err: err}
}

// ProfileNames returns the names of all profiles.
func ProfileNames() []string {
	var names []string
	for _, p := range nic.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// NIC returns the NIC.
func (s Setup) NIC() (*nic.NIC, error) {
	config, err := s.Config()
	if err != nil {
		return nil, err
	}
	n, err := nic.New(config)
	return n, option("fields", err) // Config has validated it
}

// Config returns the configuration of the NIC.
func (s Setup) Config() (nic.Config, error) {
	if s.Real != nil {
		return s.Over(s.Real.Config)
	}
	config, err := s.defaults()
	if err != nil {
		return nic.Config{}, err
	}
	return s.apply(config, s.Queues)
}

// defaults returns the configuration that the other words change.
func (s Setup) defaults() (nic.Config, error) {
	size, err := s.checkSizes(1)
	if err != nil {
		return nic.Config{}, err
	}
	if s.Profile != "" {
		p, err := s.profile()
		if err != nil {
			return nic.Config{}, err
		}
		config, err := p.ConfigSize(s.Queues, size)
		return config, option("profile", err)
	}
	config, err := nic.Default(s.Queues)
	if err == nil && size != 0 {
		config.Table, err = rss.EqualTable(size, s.Queues)
	}
	return config, option("table", err)
}

// checkSizes checks the number of queues, which must be at least fewest, and returns the table's size, 0 for the default.
func (s Setup) checkSizes(fewest int) (size int, err error) {
	if s.Queues < fewest || s.Queues > rss.MaxQueues {
		return 0, option("queues", fmt.Errorf("%d: want 1 to %d", s.Queues, rss.MaxQueues))
	}
	if s.Table == nil {
		return 0, nil
	}
	if *s.Table < 1 || *s.Table > rss.MaxTableSize {
		return 0, option("table", fmt.Errorf("%d: want 1 to %d", *s.Table, rss.MaxTableSize))
	}
	return *s.Table, nil
}

func (s Setup) profile() (nic.Profile, error) {
	p, ok := nic.NamedProfile(s.Profile)
	if !ok {
		return p, &OptionError{Option: "profile", Given: s.Profile, Known: ProfileNames(), Err: fmt.Errorf("%q is not known", s.Profile)}
	}
	return p, nil
}

// Over returns the configuration of a real NIC with the given words in place of what was read from it. Queues may be 0
// to keep their number. Queues and Table replace the table by an equal one; Profile adds the quirks, the default queue and the
// byte order of the key, which the driver does not report.
func (s Setup) Over(base nic.Config) (nic.Config, error) {
	size, err := s.checkSizes(0)
	if err != nil {
		return nic.Config{}, err
	}
	queues := base.Table.Queues()
	if s.Real != nil {
		queues = max(queues, s.Real.Queues)
	}
	if s.Queues != 0 {
		queues = s.Queues
	}
	if s.Queues != 0 || size != 0 {
		if size == 0 {
			size = len(base.Table)
		}
		if base.Table, err = rss.EqualTable(size, queues); err != nil {
			return nic.Config{}, option("table", err)
		}
	}
	if s.Profile != "" {
		p, err := s.profile()
		if err != nil {
			return nic.Config{}, err
		}
		base.Quirks, base.DefaultQueue, base.Key = p.Quirks, p.DefaultQueue, p.HardwareKey(base.Key)
	}
	return s.apply(base, queues)
}

// HardwareKey converts a key between the byte order that the profile's driver shows and the one that its hardware
// hashes with. The conversion is its own inverse.
func (s Setup) HardwareKey(key rss.Key) rss.Key {
	p, _ := nic.NamedProfile(s.Profile) // the zero profile leaves the key as it is
	return p.HardwareKey(key)
}

// KeyNote says that the default key of the profile is not known; empty where it is known or Key was given.
func (s Setup) KeyNote() string {
	if p, ok := nic.NamedProfile(s.Profile); ok && p.RandomKey() && s.Key == "" && s.Real == nil {
		return "the key of this NIC is not known, ms is used in its place: " + p.KeySource
	}
	return ""
}
