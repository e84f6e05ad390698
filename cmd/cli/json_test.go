package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// embedded and inner are promoted and nested; text marshals itself.
type embedded struct{ Promoted []int }

type inner struct{ List []string }

type text []int

func (text) MarshalJSON() ([]byte, error) { return json.Marshal("text") }

func TestJSONHasNoNullLists(t *testing.T) {
	v := struct {
		embedded
		Plain   []int
		Left    []int `json:",omitempty"`
		Zero    []int `json:",omitzero"`
		Map     map[string]int
		Nested  []inner
		Rows    [][]any
		Pointer *inner
		Missing *inner `json:",omitempty"`
		Own     text
		hidden  []int
	}{Nested: []inner{{}}, Rows: [][]any{nil}, Pointer: &inner{}, hidden: nil}
	var out strings.Builder
	if err := JSONLines(&out).Encode(v); err != nil {
		t.Fatal(err)
	}
	want := `{"Promoted":[],"Plain":[],"Map":{},"Nested":[{"List":[]}],"Rows":[[]],"Pointer":{"List":[]},"Own":"text"}` + "\n"
	if out.String() != want || v.hidden != nil || v.Plain != nil {
		t.Errorf("got\n%s want\n%s", out.String(), want)
	}
	out.Reset()
	if err := JSONLines(&out).Encode([]inner(nil)); err != nil || out.String() != "[]\n" {
		t.Errorf("a list: %s, %v", out.String(), err)
	}
}
