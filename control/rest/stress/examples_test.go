package stress

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// target is the address of an operation, by the examples of the parameters that it needs, and whether it can be tried.
func (op operation) target() (address string, dry bool) {
	address = "http://lbctl" + op.path
	for _, p := range op.Parameters {
		switch {
		case p.Name == "dry_run":
			dry = true
		case len(p.Schema.Examples) == 0:
		case p.In == "path":
			address = strings.Replace(address, "{"+p.Name+"}", url.PathEscape(fmt.Sprint(p.Schema.Examples[0])), 1)
		case p.In == "query" && p.Required:
			address = with(address, p.Name+"="+url.QueryEscape(fmt.Sprint(p.Schema.Examples[0])))
		}
	}
	return address, dry
}

// with adds a parameter to an address.
func with(address, parameter string) string {
	if strings.Contains(address, "?") {
		return address + "&" + parameter
	}
	return address + "?" + parameter
}

// TestExamples sends the example of every body, that of put-config first: each is taken as it is.
func TestExamples(t *testing.T) {
	_, _, client := served(t)
	g, err := newGenerator(description(t, client), 1)
	if err != nil {
		t.Fatal(err)
	}
	first := slices.IndexFunc(g.operations, func(op operation) bool { return op.OperationID == "put-config" })
	count := 0
	for _, op := range slices.Concat(g.operations[first:first+1], g.operations) {
		for kind, body := range op.RequestBody.Content {
			count++
			address, dry := op.target()
			if dry {
				address = with(address, "dry_run=true")
			}
			r, err := http.NewRequestWithContext(t.Context(), op.method, address, bytes.NewReader(body.Example))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", kind)
			if op.method == http.MethodPatch {
				r.Header.Set("If-Match", "*")
			}
			// An answer about many has what is wrong with one inside.
			if status, answer, err := do(client, r); err != nil || status/100 != 2 || strings.Contains(answer, `"error"`) {
				t.Errorf("%s: %s %s with %s: %d %s %v", op.OperationID, op.method, address, body.Example, status, answer, err)
			}
		}
	}
	if count < 14 { // put-config twice
		t.Errorf("there are %d bodies", count)
	}
}
