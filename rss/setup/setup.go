// Package setup turns a description of a NIC in words, as command-line flags or assignments such as
// "queues=8,udp4=sd" give it, into the configuration of the model in package nic. Words that are not
// given take the value of a profile, or of nic.Default without one.
package setup

import (
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// DefaultQueues is the number of receive queues that commands assume.
const DefaultQueues = 4

// Setup describes a NIC. An empty word is one that was not given. Queues is required.
type Setup struct {
	// Profile names the NIC and driver that the other words change.
	Profile string
	// Key is hexadecimal digits or a name, in the byte order of the profile's driver.
	Key string
	// Queues is the number of receive queues, 1 to rss.MaxQueues.
	Queues int
	// Table is the number of entries of the indirection table, nil for the default.
	Table *int
	// Fill fills the table in the words of ethtool -X, or @FILE reads the table from JSON.
	Fill string
	// Function and Transform have ethtool's names. Inner is a set of tunnels, "vxlan+gre" or "all".
	Function, Transform, Inner string
	// Fields are hash fields, "sd" for all packets that have them or "udp4=sd" for one flow type.
	Fields []string
}

// OptionError says which word of a Setup is wrong. Config and NIC return no other error.
type OptionError struct {
	// Option is the word's name, which is also the name of the flag.
	Option string
	// Given is what was given and Known what could have been, where that is a list of names.
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

// choice wraps the error of a word that is one of a list of names.
func choice(name, given string, known []string, err error) error {
	if err == nil {
		return nil
	}
	return &OptionError{Option: name, Given: given, Known: known, Err: err}
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
	config, err := s.defaults()
	if err != nil {
		return nic.Config{}, err
	}
	for _, apply := range []func(*nic.Config) error{s.applyKey, s.applyFunction, s.applyFields, s.applyFill} {
		if err := apply(&config); err != nil {
			return nic.Config{}, err
		}
	}
	if err := config.Validate(); err != nil { // fields that contradict each other or the transform
		if len(s.Fields) == 0 {
			return nic.Config{}, option("transform", err)
		}
		return nic.Config{}, option("fields", err)
	}
	return config, nil
}

// defaults returns the configuration that the other words change.
func (s Setup) defaults() (nic.Config, error) {
	if s.Queues < 1 || s.Queues > rss.MaxQueues {
		return nic.Config{}, option("queues", fmt.Errorf("%d: want 1 to %d", s.Queues, rss.MaxQueues))
	}
	size := 0 // the default
	if s.Table != nil {
		if size = *s.Table; size < 1 || size > rss.MaxTableSize {
			return nic.Config{}, option("table", fmt.Errorf("%d: want 1 to %d", size, rss.MaxTableSize))
		}
	}
	if s.Profile != "" {
		p, ok := nic.NamedProfile(s.Profile)
		if !ok {
			return nic.Config{}, choice("profile", s.Profile, ProfileNames(), fmt.Errorf("%q is not known", s.Profile))
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

func (s Setup) applyKey(config *nic.Config) error {
	if s.Key == "" {
		return nil
	}
	key, err := rss.ParseKey(s.Key)
	config.Key = s.HardwareKey(key)
	return option("key", err)
}

// HardwareKey converts a key between the byte order that the profile's driver shows and the one that its hardware
// hashes with. The conversion is its own inverse.
func (s Setup) HardwareKey(key rss.Key) rss.Key {
	p, _ := nic.NamedProfile(s.Profile) // the zero profile leaves the key as it is
	return p.HardwareKey(key)
}

// KeyNote says that the default key of the profile is not known; empty where it is known or Key was given.
func (s Setup) KeyNote() string {
	if p, ok := nic.NamedProfile(s.Profile); ok && p.RandomKey() && s.Key == "" {
		return "the key of this NIC is not known, ms is used in its place: " + p.KeySource
	}
	return ""
}

func (s Setup) applyFunction(config *nic.Config) (err error) {
	if s.Function != "" {
		if config.Function, err = rss.ParseFunction(s.Function); err != nil {
			return choice("function", s.Function, rss.FunctionNames(), err)
		}
	}
	if s.Transform != "" {
		if config.Transform, err = rss.ParseTransform(s.Transform); err != nil {
			return choice("transform", s.Transform, rss.TransformNames(), err)
		}
	}
	config.Inner, err = parseTunnels(s.Inner)
	return option("inner", err)
}

// With returns the setup after assignments such as "queues=8,udp4=sd". The error quotes the assignment that is wrong;
// values other than numbers are checked by Config.
func (s Setup) With(assignments string) (Setup, error) {
	s.Fields = slices.Clone(s.Fields)
	if err := s.assign(assignments); err != nil {
		return Setup{}, err
	}
	return s, nil
}
