package ethtool

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"lbctl/rss"
)

// FieldsOf are the hash fields of one flow type.
type FieldsOf struct {
	Type   FlowType
	Fields rss.Fields
}

// Change is a change of settings. The zero value changes nothing.
type Change struct {
	// Table is how to fill the indirection table; nil leaves it as it is.
	Table *rss.TablePlan
	// Key is nil to keep it.
	Key    rss.Key
	Fields []FieldsOf
}

// IsZero tells whether there is nothing to change.
func (c Change) IsZero() bool { return c.Table == nil && c.Key == nil && len(c.Fields) == 0 }

// After returns the settings after a change, or why the change is impossible. It
// does not touch the interface, and the result shares nothing with s.
func (s Settings) After(c Change) (Settings, error) {
	if !s.HasRSS() {
		return Settings{}, fmt.Errorf("%w: %s", ErrNoRSS, s.Instead())
	}
	s.Table, s.Key, s.Fields = slices.Clone(s.Table), slices.Clone(s.Key), maps.Clone(s.Fields)
	if c.Table != nil {
		t, err := c.Table.Build(len(s.Table), s.Queues)
		if err != nil {
			return Settings{}, err
		}
		s.Table = t
	}
	if c.Key != nil {
		if err := s.fits(c.Key); err != nil {
			return Settings{}, err
		}
		s.Key = slices.Clone(c.Key)
	}
	for _, f := range c.Fields {
		if err := s.takes(f); err != nil {
			return Settings{}, err
		}
		s.Fields[f.Type] = f.Fields
	}
	return s, nil
}

// fits checks that a key has the length that the NIC requires.
func (s Settings) fits(k rss.Key) error {
	switch {
	case len(s.Key) == 0:
		return fmt.Errorf("rss key: the key of %s cannot be set", s.what())
	case len(k) != len(s.Key):
		return fmt.Errorf("rss key of %d bytes: %s takes %d", len(k), s.what(), len(s.Key))
	}
	return nil
}

// settable are the fields that SRXFH has letters for; the driver accepts some of them for each flow type.
const settable = rss.FourTuple | rss.FlowLabel | rss.VLANTag | rss.NetworkProtocol | rss.DestinationMAC | rss.TunnelID

// takes checks the fields of one flow type by the kernel's rules; the driver may have more.
func (s Settings) takes(f FieldsOf) error {
	if _, known := s.Fields[f.Type]; !known {
		return fmt.Errorf("hash fields of %s: %s neither reports nor accepts them", f.Type, s.what())
	}
	if f.Fields&^settable != 0 {
		return fmt.Errorf("hash fields %v of %s: not settable", f.Fields, f.Type)
	}
	if strings.HasPrefix(string(f.Type), "ip") && f.Fields&rss.Ports != 0 {
		return fmt.Errorf("hash fields %v of %s: it has no ports, want letters of \"sd\"", f.Fields, f.Type)
	}
	if s.Transform != rss.NoTransform && !f.Fields.Symmetric() {
		return fmt.Errorf("hash fields %v of %s: with %v want sd, fn or both", f.Fields, f.Type, s.Transform)
	}
	return nil
}

// Commands returns the ethtool commands that make the same change.
func (c Change) Commands(name string) []string {
	var all []string
	var words []string
	if c.Key != nil {
		words = append(words, "hkey "+c.Key.String())
	}
	if c.Table != nil {
		words = append(words, c.Table.String())
	}
	if len(words) > 0 {
		all = append(all, fmt.Sprintf("ethtool -X %s %s", name, strings.Join(words, " ")))
	}
	for _, f := range c.Fields {
		letters := f.Fields.String()
		if f.Fields == 0 {
			letters = `""`
		}
		all = append(all, fmt.Sprintf("ethtool -N %s rx-flow-hash %s %s", name, f.Type, letters))
	}
	return all
}

// ParseFieldsOf reads "tcp4=sdfn"; "udp4=none" stands for none.
func ParseFieldsOf(s string) (FieldsOf, error) {
	name, letters, ok := strings.Cut(s, "=")
	if !ok {
		return FieldsOf{}, fmt.Errorf("%q: want FLOWTYPE=LETTERS, as in tcp4=sdfn", s)
	}
	t, err := ParseFlowType(name)
	if err != nil {
		return FieldsOf{}, err
	}
	f, err := rss.ParseFields(letters)
	if err != nil {
		return FieldsOf{}, err
	}
	return FieldsOf{t, f}, nil
}
