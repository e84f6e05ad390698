package nic

import (
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/nic"
)

// nic sets up the NIC that the flags describe; an error names the flag.
func (h *hashFlag) nic(c *cobra.Command) (*nic.NIC, error) {
	config, p, err := h.start(c)
	if err != nil {
		return nil, err
	}
	if h.spec.key != "" {
		key, err := rss.ParseKey(h.spec.key)
		if err != nil {
			return nil, cli.Usage(c, "--key: %v", err)
		}
		config.Key = p.HardwareKey(key)
	}
	if h.spec.function != "" {
		if config.Function, err = rss.ParseFunction(h.spec.function); err != nil {
			return nil, cli.Usage(c, "--function: %v", err)
		}
	}
	if h.spec.xfrm != "" {
		if config.Transform, err = rss.ParseTransform(h.spec.xfrm); err != nil {
			return nil, cli.Usage(c, "--transform: %v", err)
		}
	}
	for _, f := range h.spec.fields {
		if err := setHashFields(&config, f); err != nil {
			return nil, cli.Usage(c, "--fields: %v", err)
		}
	}
	n, err := nic.New(config)
	if err != nil {
		return nil, cli.Usage(c, "%v", err)
	}
	return n, nil
}

// start returns what the other flags change, and the profile, the zero one where none is named.
func (h *hashFlag) start(c *cobra.Command) (nic.Config, nic.Profile, error) {
	size := h.spec.table
	if size == 0 && !c.Flags().Changed("table") {
		size = nic.DefaultTableSize
		if h.spec.profile != "" {
			size = 0
		}
	}
	if h.spec.profile == "" {
		config, err := nic.Default(h.spec.queues)
		if err != nil {
			return config, nic.Profile{}, cli.Usage(c, "--queues: %v", err)
		}
		if config.Table, err = rss.EqualTable(size, h.spec.queues); err != nil {
			return config, nic.Profile{}, cli.Usage(c, "--table: %v", err)
		}
		return config, nic.Profile{}, nil
	}
	p, ok := nic.NamedProfile(h.spec.profile)
	if !ok {
		return nic.Config{}, p, cli.Usage(c, "--profile: %q is not known", h.spec.profile).OrNearest(h.spec.profile, profileNames(), "--profile ")
	}
	config, err := p.ConfigSize(h.spec.queues, size)
	if err != nil {
		return config, p, cli.Usage(c, "--profile: %v", err)
	}
	return config, p, nil
}

// setHashFields reads "udp4=sd", or "sd" for all packets that have such fields.
func setHashFields(config *nic.Config, text string) error {
	if strings.Contains(text, "=") {
		return setFields(config, text)
	}
	fields, err := rss.ParseFields(text)
	if err != nil {
		return err
	}
	for _, set := range config.FieldSets() {
		*set.Fields = fields
		if fields&rss.Hashable == fields { // the rest is refused where the NIC is set up
			*set.Fields &= set.Allowed
		}
	}
	return nil
}
