package nic

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
)

// overrides returns the names of the flags that name something of the model.
func (f *verifyFlag) overrides() []string {
	given := []string{}
	for _, o := range []struct {
		name string
		is   bool
	}{
		{"key", f.key != ""}, {"queues", f.queues != 0}, {"table", f.table != 0},
		{"fields", len(f.fields.Texts) > 0}, {"profile", f.profile != ""},
	} {
		if o.is {
			given = append(given, o.name)
		}
	}
	return given
}

// model returns the NIC's own set-up with what the flags name in its place. notes are what was assumed.
func (f *verifyFlag) model(c *cobra.Command, s ethtool.Settings) (nic.Config, []string, error) {
	config, notes, err := s.Model()
	if err != nil {
		if config, notes, err = f.withoutRSS(s, err); err != nil {
			return nic.Config{}, nil, err
		}
	}
	if f.key != "" {
		if config.Key, err = rss.ParseKey(f.key); err != nil {
			return nic.Config{}, nil, cli.Usage(c, "--key: %v", err)
		}
	}
	if f.queues != 0 || f.table != 0 {
		size, queues := len(config.Table), config.Table.Queues()
		if f.table != 0 {
			size = f.table
		}
		if f.queues != 0 {
			queues = f.queues
		}
		if config.Table, err = rss.EqualTable(size, queues); err != nil {
			return nic.Config{}, nil, cli.Usage(c, "--table: %v", err)
		}
	}
	return f.details(c, config, notes)
}

// withoutRSS returns the default model where the NIC tells none and flags name one.
func (f *verifyFlag) withoutRSS(s ethtool.Settings, why error) (nic.Config, []string, error) {
	if len(f.overrides()) == 0 {
		var hint = "name the model to compare with: --key, --queues, --table"
		if errors.Is(why, ethtool.ErrNoRSS) {
			hint = "to compare it with a model all the same: --key, --queues, --table"
		}
		return nic.Config{}, nil, &cli.Failure{Code: cli.ExitFailed, What: why.Error(), Do: hint, Cause: why}
	}
	config, err := nic.Default(max(s.Queues, 1))
	return config, []string{strings.TrimPrefix(why.Error(), "model of "+s.Interface+": ")}, err
}

// details applies --fields and --profile.
func (f *verifyFlag) details(c *cobra.Command, config nic.Config, notes []string) (nic.Config, []string, error) {
	fields, err := f.fields.Parse(c)
	if err != nil {
		return nic.Config{}, nil, err
	}
	for _, given := range fields {
		for _, set := range config.FieldSets() {
			if set.Name == string(given.Type) {
				*set.Fields = given.Fields
			}
		}
	}
	if f.profile != "" {
		p, ok := nic.NamedProfile(f.profile)
		if !ok {
			return nic.Config{}, nil, cli.Usage(c, "--profile: %q is not known", f.profile)
		}
		config.Quirks = p.Quirks
		if p.KeyReversed {
			config.Key = reversedKey(config.Key)
		}
	}
	return config, notes, nil
}
