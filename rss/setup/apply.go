package setup

import (
	"fmt"
	"strings"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// apply changes a configuration by the words that do not set its sizes, and validates it.
func (s Setup) apply(config nic.Config, queues int) (nic.Config, error) {
	err := s.applyFunction(&config)
	if err == nil && s.Key != "" {
		var key rss.Key
		key, err = ParseKey(s.Key)
		config.Key, err = s.HardwareKey(key), option("key", err)
	}
	if err == nil {
		err = s.applyFields(&config)
	}
	if err == nil && s.Fill != "" {
		config.Table, err = FillTable(s.Fill, len(config.Table), queues)
		err = option("fill", err)
	}
	if err == nil && s.DefaultQueue != "" {
		config.DefaultQueue, err = nic.ParseDefaultQueue(s.DefaultQueue)
		if err == nil && int(config.DefaultQueue.Queue) >= queues {
			err = fmt.Errorf("queue %v: want 0 to %d", config.DefaultQueue, queues-1)
		}
		err = option("default-queue", err)
	}
	if err != nil {
		return nic.Config{}, err
	}
	if err := config.Validate(); err != nil { // fields that contradict each other or the transform
		if len(s.Fields) == 0 {
			return nic.Config{}, option("transform", err)
		}
		return nic.Config{}, option("fields", err)
	}
	return config, nil
}

func (s Setup) applyFunction(config *nic.Config) (err error) {
	if s.Function != "" {
		if config.Function, err = rss.ParseFunction(s.Function); err != nil {
			return option("function", err)
		}
	}
	if s.Transform != "" {
		if config.Transform, err = rss.ParseTransform(s.Transform); err != nil {
			return option("transform", err)
		}
	}
	if s.Inner != "" {
		config.Inner, err = parseTunnels(s.Inner)
	}
	return option("inner", err)
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

// FillTable returns a table of size entries over at most so many queues, filled in the words of ethtool -X, or read from
// a file with @FILE (ReadTable), which also gives the size.
func FillTable(fill string, size, queues int) (rss.Table, error) {
	if name, isFile := strings.CutPrefix(fill, "@"); isFile {
		table, _, err := ReadTable(name)
		if err == nil && table.Queues() > queues {
			err = fmt.Errorf("read table of %s: %d entries over %d queues: want at most %d", name, len(table), table.Queues(), queues)
		}
		return table, err
	}
	plan, err := rss.ParseTablePlan(fill)
	if err != nil {
		return nil, err
	}
	return plan.Build(size, queues)
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
