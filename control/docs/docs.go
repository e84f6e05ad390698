// Package docs has a page that shows the API to people. It is one file that reads openapi.json of the same daemon and nothing from
// elsewhere. The examples of request bodies are here, too.
package docs

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

//go:embed docs.html
var page string

// Handler answers with the page. Its policy lets browsers run the page's own script alone, and ask this daemon alone.
func Handler() http.Handler {
	policy := "default-src 'none'; connect-src 'self'; script-src '" + hash("script") + "'; style-src '" + hash("style") + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// The client may be gone; there is nobody else to tell.
		_, _ = w.Write([]byte(page))
	})
}

//go:embed examples.json
var examples []byte

var bodies = func() (all map[string]json.RawMessage) {
	if err := json.Unmarshal(examples, &all); err != nil {
		panic(fmt.Sprintf("examples.json: %v", err)) // it is part of the program
	}
	return all
}()

// Body returns an example of the body of an operation. That of put-config has the names and addresses that the examples of
// parameters have, so that after it every other one can be sent.
func Body(operation string) json.RawMessage { return bodies[operation] }

// hash names what is in the element of a tag, of which the page has one, for the policy.
func hash(tag string) string {
	_, after, _ := strings.Cut(page, "<"+tag+">")
	inside, _, _ := strings.Cut(after, "</"+tag+">")
	sum := sha256.Sum256([]byte(inside))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
