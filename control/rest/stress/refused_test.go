package stress

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lbctl/control/api"
)

// fault is a request with one thing wrong: where that is ("": nowhere in particular), and what it is answered with.
type fault struct {
	what, address, body string
	kind                string
	status              int
	location, pointer   string
}

// nodes calls visit for every value in a JSON value: its path as errors have it, and as a JSON pointer, and a copy of the whole with
// another value in its place.
func nodes(whole any, visit func(location, pointer string, value any, replaced func(any) any)) {
	var walk func(location, pointer string, value any, replaced func(any) any)
	walk = func(location, pointer string, value any, replaced func(any) any) {
		visit(location, pointer, value, replaced)
		switch v := value.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(location+"."+name, pointer+"/"+name, v[name], func(other any) any {
					c := maps.Clone(v)
					c[name] = other
					return replaced(c)
				})
			}
		case []any:
			for n := range v {
				walk(location+"["+strconv.Itoa(n)+"]", pointer+"/"+strconv.Itoa(n), v[n], func(other any) any {
					c := slices.Clone(v)
					c[n] = other
					return replaced(c)
				})
			}
		}
	}
	walk("body", "#", whole, func(other any) any { return other })
}

// bodyFaults are the example of an operation with one thing wrong, at every place of it.
func (op operation) bodyFaults(t *testing.T) (all []fault) {
	t.Helper()
	address, _ := op.target()
	for kind, media := range op.RequestBody.Content {
		var example any
		if err := json.Unmarshal(media.Example, &example); err != nil {
			t.Fatalf("%s: %v", op.OperationID, err)
		}
		half := string(media.Example[:len(media.Example)-1])
		all = append(all,
			fault{what: "half a body", body: half, kind: kind, status: 400, location: "body", pointer: "#"},
			fault{what: "more than a body", body: half + "}}", kind: kind, status: 400, location: "body", pointer: "#"},
			fault{what: "no body", kind: kind, status: 400, location: "body", pointer: "#"},
			fault{what: "text", body: string(media.Example), kind: "text/plain", status: 415, location: "body", pointer: "#"})
		nodes(example, func(location, pointer string, value any, replaced func(any) any) {
			var wrong any = map[string]any{"nmae": 1}
			if fields, is := value.(map[string]any); is || value == nil {
				more := map[string]any{"nmae": 1}
				maps.Copy(more, fields)
				all = append(all, fault{what: "unknown field", body: quoted(replaced(more)), kind: kind, status: 422, location: location + ".nmae", pointer: pointer + "/nmae"})
				wrong = true
			}
			all = append(all, fault{what: fmt.Sprintf("%v in place of %T", wrong, value), body: quoted(replaced(wrong)), kind: kind, status: 422, location: location, pointer: pointer})
		})
	}
	for n := range all {
		all[n].address = address
	}
	return all
}

// otherFaults are wrong names in the path, and wrong parameters.
func (op operation) otherFaults() (all []fault) {
	right, _ := op.target()
	unknown, named := right, false
	for _, p := range op.Parameters {
		hole, kind := "{"+p.Name+"}", fmt.Sprint(p.Schema.Type)
		numeric := kind == "integer" || kind == "boolean"
		switch {
		case p.In == "path" && numeric:
			all = append(all, fault{what: "no number", address: "http://lbctl" + strings.Replace(op.path, hole, "x", 1), status: 422, location: "path." + p.Name})
			unknown, named = "http://lbctl"+strings.Replace(op.path, hole, "999", 1), true
		case p.In == "path":
			name, known := "nope", fmt.Sprint(p.Schema.Examples[0])
			if strings.Contains(known, ":") {
				name = "10.9.9.9:9"
			}
			unknown, named = strings.Replace(unknown, "/"+url.PathEscape(known), "/"+name, 1), true
		case p.In == "query" && numeric:
			all = append(all, fault{what: "no " + kind, address: with(right, p.Name+"=x"), status: 422, location: "query." + p.Name})
		}
	}
	if named && len(op.RequestBody.Content) == 0 { // what is put under a new name is new
		all = append(all, fault{what: "unknown name", address: unknown, status: 404})
	}
	for _, p := range op.Parameters {
		if p.In == "query" {
			all = append(all, fault{what: "parameter without a value", address: with(right, p.Name+"="), status: 422, location: "query." + p.Name})
		}
	}
	return append(all, fault{what: "unknown parameter", address: with(right, "nmae=1"), status: 422, location: "query.nmae"})
}

// TestRefusals sends to every operation what is wrong with it in one place: the answer is a problem that names the place. Nothing changes.
func TestRefusals(t *testing.T) {
	_, e, client := served(t)
	g, err := newGenerator(description(t, client), 1)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, op := range g.operations {
		t.Run(op.OperationID, func(t *testing.T) {
			for _, f := range append(op.bodyFaults(t), op.otherFaults()...) {
				count++
				r, err := http.NewRequestWithContext(t.Context(), op.method, f.address, strings.NewReader(f.body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", f.kind)
				f.check(t, client, r)
			}
		})
	}
	if n := e.Now().Number; n != 1 || count < 250 {
		t.Errorf("the revision is %d after %d requests", n, count)
	}
}

// check fails unless the answer to a request is a problem with the fault's place, and that alone.
func (f fault) check(t *testing.T, client *http.Client, r *http.Request) {
	t.Helper()
	answer, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", f.what, err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); kind != "application/problem+json" { // it may be a stream
		t.Fatalf("%s: %s %s %s: %d, %s", f.what, r.Method, r.URL, f.body, answer.StatusCode, kind)
	}
	var p api.Problem
	if err := json.NewDecoder(answer.Body).Decode(&p); err != nil {
		t.Fatalf("%s: %s %s %s: %d, %v", f.what, r.Method, r.URL, f.body, answer.StatusCode, err)
	}
	if p.Status != f.status || p.Status != answer.StatusCode || p.Title == "" || p.Detail == "" || p.Hint == "" {
		t.Errorf("%s: %s %s %s: %d %+v, want %v", f.what, r.Method, r.URL, f.body, answer.StatusCode, p, f.status)
	}
	if f.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != f.location || p.Errors[0].Pointer != f.pointer) {
		t.Errorf("%s: %s %s %s: %+v, want %s, %s", f.what, r.Method, r.URL, f.body, p.Errors, f.location, f.pointer)
	}
}
