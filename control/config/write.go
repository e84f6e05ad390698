package config

import (
	"fmt"

	"github.com/goccy/go-yaml"

	"lbctl/control/api"
)

// Write returns a configuration as the YAML text of a file: Parse of it gives the configuration again. A list of
// interfaces that is empty is written, because without it a file leaves interfaces as they are.
func Write(c api.Config) ([]byte, error) {
	text, err := yaml.MarshalWithOptions(c, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	if c.Interfaces != nil && len(c.Interfaces) == 0 {
		text = append([]byte("interfaces: []\n"), text...)
	}
	return text, nil
}
