package rest

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
)

// ConfigSchema returns the JSON Schema (2020-12) of configuration files.
func ConfigSchema() ([]byte, error) {
	registry := huma.NewMapRegistry("#/$defs/", huma.DefaultSchemaNamer)
	root := registry.Schema(reflect.TypeFor[api.Config](), true, "")
	text, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "lbctl configuration",
		"$ref":    root.Ref,
		"$defs":   registry.Map(),
	}, "", "  ")
	return append(text, '\n'), err
}
