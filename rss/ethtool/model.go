package ethtool

import (
	"fmt"
	"strings"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// Model returns the settings as a model of the NIC, and what had to be assumed for it because
// the driver does not tell. The error wraps ErrNoRSS where there is no table; it also says
// when there is no key.
func (s Settings) Model() (nic.Config, []string, error) {
	if !s.HasRSS() {
		return nic.Config{}, nil, fmt.Errorf("model of %s: %w: %s", s.Interface, ErrNoRSS, s.Instead())
	}
	c, err := nic.Default(max(s.Queues, 1))
	if err != nil {
		return nic.Config{}, nil, fmt.Errorf("model of %s: %w", s.Interface, err)
	}
	c.Table, c.Key, c.Transform = s.Table, s.Key, s.Transform
	var assumed []string
	if len(s.Functions) == 1 {
		c.Function = s.Functions[0]
	} else {
		assumed = append(assumed, "the driver does not tell its hash function: toeplitz is assumed")
	}
	if len(s.Key) == 0 && c.Function.Keyed() {
		return nic.Config{}, nil, fmt.Errorf("model of %s: the driver does not tell its rss key", s.Interface)
	}
	if len(s.Key) == 0 {
		c.Key = rss.MicrosoftKey() // which is not used
	}
	assumed = append(assumed, s.modelFields(&c)...)
	if err := c.Validate(); err != nil {
		return nic.Config{}, nil, fmt.Errorf("model of %s: %w", s.Interface, err)
	}
	return c, assumed, nil
}

// modelFields takes over the fields that the driver tells.
func (s Settings) modelFields(c *nic.Config) (assumed []string) {
	for _, n := range c.FieldSets() {
		fields, told := s.Fields[FlowType(n.Name)]
		switch {
		case !told && *n.Fields != 0:
			assumed = append(assumed, fmt.Sprintf("the driver does not tell the hash fields of %s: %v is assumed", n.Name, *n.Fields))
		case told:
			*n.Fields = fields & rss.Hashable & having(n.Name)
		}
		if other := fields &^ rss.Hashable; other != 0 {
			assumed = append(assumed, fmt.Sprintf("%s is hashed over %v as well: how is not specified, it is left out", n.Name, other))
		}
	}
	return assumed
}

// having returns the fields that packets of a flow type have: some drivers tell more.
func having(name string) rss.Fields {
	switch {
	case name == string(IP4):
		return rss.Addresses
	case name == string(IP6):
		return rss.Addresses | rss.FlowLabel
	case strings.HasSuffix(name, "4"):
		return rss.FourTuple
	}
	return rss.Hashable
}
