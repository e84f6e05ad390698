package stress

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// schema is what the generator reads of a JSON Schema.
type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]schema
	Items      *schema
	Enum       []any
	Examples   []any
}

// parameter is a parameter of an operation.
type parameter struct {
	Name, In string
	Required bool
	Schema   schema
}

// operation is an operation of the OpenAPI description.
type operation struct {
	method, path string
	OperationID  string
	Parameters   []parameter
	RequestBody  struct {
		Content map[string]struct {
			Schema  schema
			Example json.RawMessage
		}
	}
}

// generator makes requests out of the description: like those that it describes, each with something wrong.
type generator struct {
	rand       *rand.Rand
	operations []operation
	schemas    map[string]schema
}

// newGenerator reads the description.
func newGenerator(text []byte, seed uint64) (*generator, error) {
	var d struct {
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	g := &generator{rand: rand.New(rand.NewPCG(seed, 0)), schemas: d.Components.Schemas}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			op := d.Paths[path][method]
			op.method, op.path = strings.ToUpper(method), path
			g.operations = append(g.operations, op)
		}
	}
	return g, nil
}

// pick returns one of some.
func pick[T any](g *generator, of ...T) T { return of[g.rand.IntN(len(of))] }

func (g *generator) oneIn(n int) bool { return g.rand.IntN(n) == 0 }

// words are strings that are right somewhere.
var words = []string{"web", "dns", "eth0", "192.0.2.1:80", "192.0.2.1:53", "10.0.0.1:80", "10.0.0.2:8080", "[2001:db8::1]:80", "tcp", "udp", "maglev", "modulo", "nat", "dsr", "ipip",
	"active", "draining", "down", "10m", "1s", "always", "never", "auto", "2030-01-31T12:00:00Z", "10.9.0.0/24", "1", "7", "true", `"1"`, "*", "syn"}

// hostile are JSON values that are right hardly anywhere.
var hostile = []string{"null", "true", "-1", "0", "65536", "4294967296", "9223372036854775808", "-9223372036854775809", "1e400", "1e30", "0.5", "01", "NaN", `""`, `"\u0000"`, `"\ud800"`, "\"\xff\"",
	`"../../etc"`, `"%00"`, `"192.0.2.1"`, `"127.0.0.1:80"`, `"0.0.0.0:0"`, `"[::]:1"`, `"[fe80::1%eth0]:80"`, "[]", "{}", "[[[]]]", `{"a":{"b":[]}}`, strings.Repeat("[", 100), `"` + strings.Repeat("x", 3000) + `"`}

// value writes a value of a schema. Now and then, and the more often the deeper, it is of none.
func (g *generator) value(s schema, depth int) string {
	for s.Ref != "" {
		s = g.schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
	}
	if g.oneIn(30) || depth > 8 {
		return pick(g, hostile...)
	}
	kind, is := s.Type.(string)
	if all, several := s.Type.([]any); !is && several {
		kind = fmt.Sprint(all[0])
	}
	switch {
	case len(s.Enum) > 0 && !g.oneIn(10):
		return quoted(pick(g, s.Enum...))
	case len(s.Examples) > 0 && g.oneIn(2):
		return quoted(pick(g, s.Examples...))
	}
	switch kind {
	case "object":
		return g.object(s, depth)
	case "array":
		var elements []string
		for range g.rand.IntN(4) {
			elements = append(elements, g.value(*s.Items, depth+1))
		}
		return "[" + strings.Join(elements, ",") + "]"
	case "integer", "number":
		return pick(g, "0", "1", "2", "7", "251", "65535", "1000", "-1", "4294967295")
	case "boolean":
		return pick(g, "true", "false")
	}
	return quoted(pick(g, words...))
}

// object writes an object: some of the fields, and sometimes one that there is not, or one twice.
func (g *generator) object(s schema, depth int) string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if g.oneIn(3) {
			continue
		}
		field := quoted(name) + ":" + g.value(s.Properties[name], depth+1)
		fields = append(fields, field)
		if g.oneIn(60) {
			fields = append(fields, field)
		}
	}
	if g.oneIn(20) {
		fields = append(fields, `"nmae":1`)
	}
	return "{" + strings.Join(fields, ",") + "}"
}

func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was read from JSON
	}
	return string(text)
}

// word is the text of a parameter.
func (g *generator) word(s schema) string {
	text := strings.Trim(g.value(s, 0), `"`)
	if g.oneIn(10) {
		text = pick(g, "", "..", "a/b", "%2e%2e", "\x00", "é", strings.Repeat("x", 2000), "web?x=1", " web")
	}
	return text
}

// request makes a request.
func (g *generator) request() (*http.Request, error) {
	op := pick(g, g.operations...)
	method, path, query, header := op.method, op.path, url.Values{}, http.Header{}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", url.PathEscape(g.word(p.Schema)), 1)
		case g.oneIn(2):
		case p.In == "query":
			query.Add(p.Name, g.word(p.Schema))
		case p.In == "header":
			header.Add(p.Name, strings.Map(printable, g.word(p.Schema)))
		}
	}
	if g.oneIn(20) {
		query.Add("nmae", "1")
	}
	if g.oneIn(40) {
		method = pick(g, "GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW")
	}
	r, err := http.NewRequest(method, "http://lbctl"+path, strings.NewReader(g.body(op)))
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", method, path, err)
	}
	r.URL.RawQuery, r.Header = query.Encode(), header
	if g.oneIn(20) {
		r.Header.Set("Content-Type", pick(g, "text/plain", "application/merge-patch+json", "application/json; charset=latin1", ";", "multipart/form-data"))
	}
	return r, nil
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// body makes the body of a request, and sometimes breaks its text.
func (g *generator) body(op operation) string {
	text := ""
	for _, kind := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
		text = g.value(op.RequestBody.Content[kind].Schema, 0)
		if g.oneIn(8) {
			text = string(op.RequestBody.Content[kind].Example)
		}
	}
	switch {
	case len(text) > 0 && g.oneIn(12):
		return text[:g.rand.IntN(len(text))]
	case len(text) > 0 && g.oneIn(12):
		broken := []byte(text)
		broken[g.rand.IntN(len(broken))] = byte(g.rand.IntN(256))
		return string(broken)
	case g.oneIn(30):
		return pick(g, hostile...)
	}
	return text
}
