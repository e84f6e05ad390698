package client

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
)

// A list is read as the object that has it would be; what is none is an error.
func TestElements(t *testing.T) {
	a, b := api.Mode{Mode: "a"}, api.Mode{Mode: "b"}
	for text, want := range map[string][]api.Mode{
		`{"of":[{"mode":"a"},{"mode":"b"}]}`:                             {a, b},
		`{"next":{"of":[1]},"of":[{"mode":"b"}],"more":[{}, "x"]}` + " ": {b},
		`{"of":[]}`: nil, `{}`: nil, `{"off":[{"mode":"a"}]}`: nil,
	} {
		if got, err := elements[api.Mode](strings.NewReader(text), "of"); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "EOF", "[]": "want {, and not [", `{"of":{}}`: "want [, and not {", `{"of":null}`: "want [, and not <nil>", `{"of":[{"mode":"a"}`: "EOF",
		`{"of":[1]}`: "cannot unmarshal number", `{"of":[]`: "EOF", `{"of"`: "EOF", `{"of":[{}}`: "invalid character", `{"a":[`: "EOF",
	} {
		if got, err := elements[api.Mode](strings.NewReader(text), "of"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %s", text, got, err, want)
		}
	}
}
