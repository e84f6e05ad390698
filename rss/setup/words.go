package setup

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// assign carries out assignments that are joined by commas.
func (s *Setup) assign(assignments string) error {
	for assignment := range strings.SplitSeq(assignments, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(assignment), "=")
		if !ok || value == "" {
			return fmt.Errorf("%q: want name=value, joined by commas: queues=8,table=512,key=symmetric,udp4=sd", assignment)
		}
		if err := s.set(name, value); err != nil {
			return fmt.Errorf("%q: %w", assignment, err)
		}
	}
	return nil
}

func (s *Setup) set(name, value string) error {
	texts := map[string]*string{
		"profile": &s.Profile, "key": &s.Key, "fill": &s.Fill, "function": &s.Function, "transform": &s.Transform, "inner": &s.Inner,
	}
	text, isText := texts[name]
	switch {
	case isText:
		*text = value
		return nil
	case name == "fields":
		s.Fields = append(s.Fields, value)
		return nil
	case name == "queues" || name == "table":
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("want a number")
		}
		if name == "queues" {
			s.Queues = n
		} else {
			s.Table = &n
		}
		return nil
	}
	if fieldsOf(&nic.Config{}, name) == nil {
		return fmt.Errorf("%q is not known: want profile, key, queues, table, fill, function, transform, inner, fields, or a flow type such as udp4", name)
	}
	s.Fields = append(s.Fields, name+"="+value)
	return nil
}

// fieldsOf returns the hash fields of a flow type, nil if there is no such type.
func fieldsOf(c *nic.Config, flowType string) *rss.Fields {
	for _, set := range c.FieldSets() {
		if set.Name == flowType {
			return set.Fields
		}
	}
	return nil
}

func (s Setup) applyFields(config *nic.Config) error {
	for _, text := range s.Fields {
		name, letters, one := strings.Cut(text, "=")
		if !one {
			letters = text
		}
		fields, err := rss.ParseFields(letters)
		if err != nil {
			return option("fields", err)
		}
		if !one {
			setAll(config, fields)
			continue
		}
		set := fieldsOf(config, name)
		if set == nil {
			return option("fields", fmt.Errorf("flow type %q is not known: want %s", name, strings.Join(flowTypes(), ", ")))
		}
		*set = fields
	}
	return nil
}

// setAll sets the hash fields of every flow type to those of the given ones that its packets have.
func setAll(config *nic.Config, fields rss.Fields) {
	for _, set := range config.FieldSets() {
		*set.Fields = fields
		if fields&rss.Hashable == fields { // nic.Config.Validate refuses the others
			*set.Fields &= set.Allowed
		}
	}
}

func flowTypes() []string {
	var names []string
	for _, set := range new(nic.Config).FieldSets() {
		names = append(names, set.Name)
	}
	return names
}

// applyFill fills the table from words or from a file.
func (s Setup) applyFill(config *nic.Config) error {
	if s.Fill == "" {
		return nil
	}
	name, isFile := strings.CutPrefix(s.Fill, "@")
	if isFile {
		table, err := readTable(name, s.Queues)
		config.Table = table
		return option("fill", err)
	}
	plan, err := rss.ParseTablePlan(s.Fill)
	if err == nil {
		config.Table, err = plan.Build(len(config.Table), s.Queues)
	}
	return option("fill", err)
}

// readTable reads the field "table" of a JSON file.
func readTable(name string, queues int) (rss.Table, error) {
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

// parseTunnels reads "vxlan+gre", or "all".
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
