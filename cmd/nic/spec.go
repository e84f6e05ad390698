package nic

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// nicSpec is a NIC in words, those of flags or of "queues=8,udp4=sd". Empty words stand for
// the profile's, or without a profile for those of lbctl rss hash.
type nicSpec struct {
	profile, key  string
	queues, table int
	// fill is how ethtool -X fills the table, or @FILE for a table that lbctl rss plan made.
	fill                  string
	function, xfrm, inner string
	fields                []string
}

// nicSpecFlags adds the flags that describe a NIC at length.
func nicSpecFlags(c *cobra.Command) *nicSpec {
	s := &nicSpec{}
	f := c.Flags()
	f.StringVar(&s.profile, "profile", "", "start from the defaults of a NIC: "+strings.Join(profileNames(), ", "))
	f.StringVar(&s.key, "key", "", "RSS key: hexadecimal digits, or one of "+strings.Join(rss.KeyNames(), ", ")+" (default ms, or the profile's)")
	f.IntVar(&s.queues, "queues", cli.DefaultQueues, "receive queues of the NIC")
	f.IntVar(&s.table, "table", 0, "entries of the indirection table (default 128, or the profile's)")
	f.StringVar(&s.fill, "fill", "", `how the table is filled, as by ethtool -X: "equal 4", "weight 2 1 1"; or @FILE from lbctl rss plan -o json`)
	f.StringVar(&s.function, "function", "", "hash function: "+strings.Join(rss.FunctionNames(), ", "))
	f.StringVar(&s.xfrm, "transform", "", "input transform: "+strings.Join(rss.TransformNames(), ", "))
	f.StringVar(&s.inner, "inner", "", "tunnels whose inner packet is hashed: ipip, gre, vxlan, geneve, gtpu (joined by +), or all")
	f.StringSliceVar(&s.fields, "fields", nil, "hash fields: sd for all packets that have them, or udp4=sd for one kind; may be repeated")
	return s
}

func profileNames() []string {
	var names []string
	for _, p := range nic.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// with returns the spec after assignments such as "queues=8,udp4=sd".
func (s nicSpec) with(assignments string) (nicSpec, error) {
	s.fields = slices.Clone(s.fields)
	for assignment := range strings.SplitSeq(assignments, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(assignment), "=")
		if !ok || value == "" {
			return s, fmt.Errorf("%q: want name=value, joined by commas: queues=8,table=512,key=symmetric,udp4=sd", assignment)
		}
		if err := s.set(name, value); err != nil {
			return s, fmt.Errorf("%q: %w", assignment, err)
		}
	}
	return s, nil
}

func (s *nicSpec) set(name, value string) (err error) {
	switch name {
	case "profile":
		s.profile = value
	case "key":
		s.key = value
	case "queues":
		s.queues, err = strconv.Atoi(value)
	case "table":
		s.table, err = strconv.Atoi(value)
	case "fill":
		s.fill = value
	case "function":
		s.function = value
	case "transform":
		s.xfrm = value
	case "inner":
		s.inner = value
	default:
		s.fields = append(s.fields, name+"="+value)
	}
	if err != nil {
		return fmt.Errorf("want a number")
	}
	return nil
}

// config sets up the NIC.
func (s nicSpec) config() (nic.Config, error) {
	config, err := s.start()
	if err != nil {
		return nic.Config{}, err
	}
	if s.key != "" {
		key, err := rss.ParseKey(s.key)
		if err != nil {
			return nic.Config{}, err
		}
		config.Key = s.hardwareKey(key)
	}
	if s.function != "" {
		if config.Function, err = rss.ParseFunction(s.function); err != nil {
			return nic.Config{}, err
		}
	}
	if s.xfrm != "" {
		if config.Transform, err = rss.ParseTransform(s.xfrm); err != nil {
			return nic.Config{}, err
		}
	}
	if config.Inner, err = parseTunnels(s.inner); err != nil {
		return nic.Config{}, err
	}
	for _, f := range s.fields {
		if err := setHashFields(&config, f); err != nil {
			return nic.Config{}, err
		}
	}
	if s.fill != "" {
		config.Table, err = fillTable(s.fill, len(config.Table), s.queues)
	}
	return config, err
}

// start returns the NIC that the other words change.
func (s nicSpec) start() (nic.Config, error) {
	if s.profile != "" {
		p, ok := nic.NamedProfile(s.profile)
		if !ok {
			return nic.Config{}, fmt.Errorf("profile %q is not known: want one of %s", s.profile, strings.Join(profileNames(), ", "))
		}
		return p.ConfigSize(s.queues, s.table)
	}
	config, err := nic.Default(s.queues)
	if err == nil && s.table != 0 {
		config.Table, err = rss.EqualTable(s.table, s.queues)
	}
	return config, err
}

// hardwareKey returns what the NIC hashes with when the driver shows key, and the other way round.
func (s nicSpec) hardwareKey(key rss.Key) rss.Key {
	p, _ := nic.NamedProfile(s.profile) // the zero one, without a profile, leaves the key
	return p.HardwareKey(key)
}

// fillTable reads a table from words or from a file.
func fillTable(fill string, size, queues int) (rss.Table, error) {
	name, isFile := strings.CutPrefix(fill, "@")
	if !isFile {
		plan, err := rss.ParseTablePlan(fill)
		if err != nil {
			return nil, err
		}
		return plan.Build(size, queues)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var plan struct{ Table rss.Table }
	if err := json.Unmarshal(b, &plan); err != nil {
		return nil, fmt.Errorf("read table of %s: %w", name, err)
	}
	if len(plan.Table) == 0 || len(plan.Table) > rss.MaxTableSize || plan.Table.Queues() > queues {
		return nil, fmt.Errorf("read table of %s: %d entries over %d queues: want 1 to %d over at most %d",
			name, len(plan.Table), plan.Table.Queues(), rss.MaxTableSize, queues)
	}
	return plan.Table, nil
}

// setFields reads "udp4=sd".
func setFields(c *nic.Config, assignment string) error {
	name, letters, _ := strings.Cut(assignment, "=")
	set, ok := fieldsOf(c)[name]
	if !ok {
		return fmt.Errorf("%q is not known: want profile, key, queues, table, fill, function, transform, inner, or a flow type such as udp4", name)
	}
	fields, err := rss.ParseFields(letters)
	if err == nil {
		*set = fields
	}
	return err
}

// fieldsOf returns the sets of fields of a set-up by ethtool's names.
func fieldsOf(c *nic.Config) map[string]*rss.Fields {
	sets := map[string]*rss.Fields{}
	for _, set := range c.FieldSets() {
		sets[set.Name] = set.Fields
	}
	return sets
}

// parseTunnels reads "vxlan+gre".
func parseTunnels(s string) (packet.Tunnel, error) {
	if s == "" {
		return 0, nil
	}
	if s == "all" {
		return packet.AllTunnels, nil
	}
	var set packet.Tunnel
	for name := range strings.SplitSeq(s, "+") {
		bit := packet.Tunnel(1)
		for ; bit != 0 && (bit&packet.AllTunnels == 0 || bit.String() != name); bit <<= 1 {
		}
		if bit == 0 {
			return 0, fmt.Errorf("tunnel %q is not known: want some of %s, or all", name, strings.ReplaceAll(packet.AllTunnels.String(), ",", "+"))
		}
		set |= bit
	}
	return set, nil
}
