package ethtool

import (
	"encoding/json"
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
	// Entries are the whole table, in place of Table; nil leaves it as it is.
	Entries rss.Table
	// Function and Transform are nil to keep them.
	Function  *rss.Function
	Transform *rss.Transform
	// Key is nil to keep it.
	Key    rss.Key
	Fields []FieldsOf
}

// IsZero tells whether there is nothing to change.
func (c Change) IsZero() bool { return !c.setsRSS() && len(c.Fields) == 0 }

// setsRSS tells whether more than fields change.
func (c Change) setsRSS() bool {
	return c.Table != nil || c.Entries != nil || c.Key != nil || c.Function != nil || c.Transform != nil
}

// After returns the settings after a change, or why the change is impossible. It
// does not touch the interface, and the result shares nothing with s.
func (s Settings) After(c Change) (Settings, error) {
	if !s.HasRSS() {
		return Settings{}, fmt.Errorf("%w: %s", ErrNoRSS, s.Instead())
	}
	s.Table, s.Key, s.Fields = slices.Clone(s.Table), slices.Clone(s.Key), maps.Clone(s.Fields)
	if c.Table != nil && s.Context != 0 && isDefault(c.Table) {
		return Settings{}, fmt.Errorf("default table of a context: there is none, want equal %d", s.Queues) // by ioctl it would be deleted
	}
	if c.Table != nil {
		t, err := c.Table.Build(len(s.Table), s.Queues)
		if err != nil {
			return Settings{}, err
		}
		s.Table = t
	}
	if c.Entries != nil {
		if err := s.holds(c.Entries); err != nil {
			return Settings{}, err
		}
		s.Table = slices.Clone(c.Entries)
	}
	if c.Function != nil {
		s.Functions = []rss.Function{*c.Function}
	}
	if c.Transform != nil {
		s.Transform = *c.Transform
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
	if c.Transform != nil && s.Transform != rss.NoTransform {
		for _, t := range FlowTypes() {
			if fields, told := s.Fields[t]; told && !fields.Symmetric() {
				return Settings{}, fmt.Errorf("transform %v with hash fields %v of %s: want sd, fn or both for every flow type", s.Transform, fields, t)
			}
		}
	}
	return s, nil
}

// holds checks that a table has the size of the NIC's and names its queues.
func (s Settings) holds(t rss.Table) error {
	switch {
	case len(t) != len(s.Table):
		return fmt.Errorf("indirection table of %d entries: %s has %d", len(t), s.what(), len(s.Table))
	case t.Queues() > s.Queues:
		return fmt.Errorf("indirection table names queue %d: %s has queues 0 to %d", t.Queues()-1, s.what(), s.Queues-1)
	}
	return nil
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

// Commands returns the commands that make the same change of a context: of ethtool, and of ynl for Entries.
func (c Change) Commands(name string, of Context) []string {
	var all, words []string
	context, request, do := "", map[string]any{"header": map[string]string{"dev-name": name}}, "rss-set"
	switch of {
	case 0:
	case NewContext:
		context, do = " context new", "rss-create-act"
	default:
		context, request["context"] = " context "+of.String(), of
	}
	if c.Function != nil {
		words = append(words, "hfunc "+c.Function.String())
	}
	if c.Transform != nil {
		words = append(words, "xfrm "+c.Transform.String())
	}
	if c.Key != nil {
		words = append(words, "hkey "+c.Key.String())
	}
	if c.Table != nil {
		words = append(words, c.Table.String())
	}
	if len(words) > 0 || of == NewContext && c.Entries == nil {
		all = append(all, strings.TrimSpace(fmt.Sprintf("ethtool -X %s%s %s", name, context, strings.Join(words, " "))))
	}
	if c.Entries != nil {
		request["indir"] = c.Entries
		request, _ := json.Marshal(request) // strings and numbers can be marshalled
		all = append(all,
			fmt.Sprintf("# %d entries over %d queues, Linux 6.17 or later; ynl is in tools/net/ynl of its sources:", len(c.Entries), c.Entries.Queues()),
			fmt.Sprintf("ynl --family ethtool --do %s --json '%s'", do, request))
	}
	for _, f := range c.Fields {
		letters := f.Fields.String()
		if f.Fields == 0 {
			letters = `""`
		}
		all = append(all, fmt.Sprintf("ethtool -N %s rx-flow-hash %s %s%s", name, f.Type, letters, context))
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
