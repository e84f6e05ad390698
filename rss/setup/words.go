package setup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// With returns the setup after assignments such as "queues=8,udp4=sd". The error quotes the assignment that is wrong;
// values other than numbers are checked by Config.
func (s Setup) With(assignments string) (Setup, error) {
	s.Fields = slices.Clone(s.Fields)
	if err := s.assign(assignments); err != nil {
		return Setup{}, err
	}
	return s, nil
}

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
		"default-queue": &s.DefaultQueue,
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
		return fmt.Errorf("%q is not known: want profile, key, queues, table, fill, function, transform, inner, default-queue, fields, or a flow type such as udp4", name)
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

func flowTypes() []string {
	var names []string
	for _, set := range new(nic.Config).FieldSets() {
		names = append(names, set.Name)
	}
	return names
}
