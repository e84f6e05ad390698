package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"k8s.io/client-go/util/jsonpath"
)

// path is a JSONPath template, as kubectl -o jsonpath= takes it.
type path struct{ template *jsonpath.JSONPath }

// newPath parses a template, or a path without braces: services[0].name.
func newPath(expression string) (*path, error) {
	if !strings.Contains(expression, "{") {
		if !strings.HasPrefix(expression, ".") && !strings.HasPrefix(expression, "$") && !strings.HasPrefix(expression, "[") {
			expression = "." + expression
		}
		expression = "{" + expression + "}"
	}
	p := &path{jsonpath.New("output").AllowMissingKeys(true)}
	if err := p.template.Parse(expression); err != nil {
		return nil, fmt.Errorf("jsonpath: %w", err)
	}
	return p, nil
}

// print writes what the path finds in a JSON text, and a newline.
func (p *path) print(w io.Writer, text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a counter has more digits than a float64
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	if err := p.template.Execute(w, numbers(v)); err != nil {
		return fmt.Errorf("jsonpath: %w", err)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// numbers makes integers of the numbers that are, so that filters compare them.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	}
	return v
}
