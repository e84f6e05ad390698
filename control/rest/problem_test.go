package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
)

// problems are wrong requests and what is answered.
var problems = []struct {
	name, method, path, body string
	status                   int
	location, hint           string
}{
	{"unknown field", "PUT", "/v1/config", `{"services":[],"bogus":1}`, 422, "body.bogus", "want one of"},
	{"wrong type", "PUT", "/v1/config", `{"services":5}`, 422, "body.services", "want a list"},
	{"field missing", "PUT", "/v1/config", `{"services":[{"name":"a"}]}`, 422, "body.services[0].vip", "192.0.2.1:80"},
	{"half a body", "PUT", "/v1/config", `{"services":[`, 400, "body", "openapi"},
	{"no body", "PUT", "/v1/config", ``, 400, "", "openapi"},
	{"weight 0", "PUT", "/v1/config", `{"services":[{"name":"a","vip":"192.0.2.9:80","replicas":[{"address":"10.0.0.7:80","weight":0}]}]}`,
		422, "body.services[0].replicas[0].weight", "1 to 65535"},
	{"weight of a replica", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"weight":0}`, 422, "body.weight", "1 to 65535"},
	{"modulo with weight", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"weight":2}`, 422, "body.replicas[0].weight", "maglev"},
	{"name in path and body", "PUT", "/v1/services/web", `{"name":"b","vip":"192.0.2.9:80","replicas":[]}`, 422, "body.name", "path"},
	{"VIP twice", "PUT", "/v1/services/b", `{"name":"b","vip":"192.0.2.1:80","replicas":[]}`, 422, "body.vip", "once"},
	{"no service", "GET", "/v1/services/nope", ``, 404, "", "lbctl get services"},
	{"no replica", "DELETE", "/v1/services/web/replicas/10.0.0.9:80", ``, 404, "", "lbctl get"},
	{"address", "DELETE", "/v1/services/web/replicas/x", ``, 422, "path.address", "192.0.2.1:80"},
	{"mode", "PUT", "/v1/interfaces/eth0", `{"mode":"fast"}`, 422, "body.mode", "native"},
	{"flags", "POST", "/v1/explain", `{"source":"1.2.3.4:5","destination":"192.0.2.1:80","flags":["ece"]}`, 422, "body.flags[0]", "syn"},
	{"flags of udp", "POST", "/v1/explain", `{"source":"1.2.3.4:5","destination":"192.0.2.1:80","protocol":"udp","flags":["syn"]}`, 422, "body.flags", "tcp"},
	{"frame and flow", "POST", "/v1/explain", `{"source":"1.2.3.4:5","frame":"AAAA"}`, 422, "body.frame", "leave source"},
	{"frame that is no base64", "POST", "/v1/explain", `{"frame":"?"}`, 422, "body.frame", "base64"},
	{"interface that is not attached", "POST", "/v1/explain", `{"source":"1.2.3.4:5","destination":"192.0.2.1:80","interface":"eth0"}`, 404, "", "lbctl attach"},
	{"one of many", "POST", "/v1/explain/batch", `{"probes":[{"source":"1.2.3.4:5","destination":"192.0.2.1:80"},{"source":"1.2.3.4","destination":"192.0.2.1:80"}]}`, 422, "body.probes[1].source", "192.0.2.1:80"},
	{"state", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"state":"gone"}`, 422, "body.state", "draining"},
	{"deadline of an active one", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"drain_until":"2030-01-31T12:00:00Z"}`, 422, "body.drain_until", "state: draining"},
	{"deadline", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"state":"draining","drain_until":"soon"}`, 422, "body.drain_until", "RFC 3339"},
	{"deadline in parts of a second", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"state":"draining","drain_until":"2030-01-31T12:00:00.5Z"}`, 422, "body.drain_until", "whole seconds"},
	{"deadline that is the zero time", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"state":"draining","drain_until":"0001-01-01T00:00:00Z"}`, 422, "body.drain_until", "leave it out"},
	{"deadline in a year of five digits", "PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"state":"draining","drain_until":"9999-12-31T23:59:59-10:00"}`, 422, "body.drain_until", "RFC 3339"},
	{"replica of no service", "PUT", "/v1/services/nope/replicas/10.0.0.1:80", `{"state":"draining"}`, 404, "", "lbctl get services"},
	{"interface", "PUT", "/v1/interfaces/a%20b", `{}`, 422, "path.name", "ip link"},
	{"tracking", "PUT", "/v1/services/web", `{"name":"web","vip":"192.0.2.1:80","tracking":"ever","replicas":[]}`, 422, "body.tracking", "always"},
	{"tracking of udp", "PUT", "/v1/services/dns", `{"name":"dns","vip":"192.0.2.1:53","protocol":"udp","tracking":"changes","replicas":[]}`, 422, "body.tracking", "always"},
	{"idle without tracking", "PUT", "/v1/services/web", `{"name":"web","vip":"192.0.2.1:80","tracking":"never","idle":"8s","replicas":[]}`, 422, "body.idle", "tracking"},
	{"another port with dsr", "PUT", "/v1/services/web", `{"name":"web","vip":"192.0.2.1:80","mode":"dsr","replicas":[{"address":"10.0.0.1:8080"}]}`, 422, "body.replicas[0].address", "port 80"},
	{"IPv6 inside IPv4", "PUT", "/v1/services/six", `{"name":"six","vip":"[2001:db8::1]:80","mode":"ipip","replicas":[{"address":"10.0.0.1:80"}]}`, 422, "body.replicas[0].address", "family"},
	{"idle", "PUT", "/v1/services/web", `{"name":"web","vip":"192.0.2.1:80","idle":"1s","replicas":[]}`, 422, "body.idle", "8s"},
	{"query", "GET", "/v1/services?x=1", ``, 422, "query.x", "openapi"},
	{"no path", "GET", "/nope", ``, 404, "", "openapi"},
	{"method", "POST", "/v1/services", `{}`, 405, "", "use GET"},
}

// TestProblems: every wrong request is answered with a problem that names the field and
// says what to do, and changes nothing.
func TestProblems(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	for _, c := range problems {
		t.Run(c.name, func(t *testing.T) {
			response, body := w.request(c.method, c.path, c.body, "Content-Type", "application/json")
			var p api.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if response.StatusCode != c.status || p.Status != c.status || p.Title == "" || p.Detail == "" {
				t.Errorf("status %d, problem %+v, want %d", response.StatusCode, p, c.status)
			}
			if ct := response.Header.Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("content type %s", ct)
			}
			if c.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != c.location) {
				t.Errorf("errors %+v, want %s", p.Errors, c.location)
			}
			for _, f := range p.Errors {
				if _, inBody := strings.CutPrefix(f.Location, "body"); inBody != strings.HasPrefix(f.Pointer, "#") {
					t.Errorf("%s has the pointer %q", f.Location, f.Pointer)
				}
			}
			if !strings.Contains(p.Hint, c.hint) {
				t.Errorf("hint %q, want %q", p.Hint, c.hint)
			}
		})
	}
	if got := w.forwarded(); len(got) != 1 || got["tcp 192.0.2.1:80"] != 2 {
		t.Errorf("something changed: %v", got)
	}
}

// TestPointers: each field of the body has a JSON pointer that leads to it.
func TestPointers(t *testing.T) {
	w := newWorld(t)
	_, body := w.request("PUT", "/v1/config", `{"services":[{"name":"web","vip":"x"},{"a/b ~":1}],"interfaces":[{"name":"eth0","mode":3}]}`)
	var p api.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range p.Errors {
		got[f.Pointer] = true
	}
	for _, want := range []string{"#/services/1/a~1b%20~0", "#/interfaces/0/mode"} {
		if !got[want] {
			t.Errorf("no pointer %s in %s", want, body)
		}
	}
}

// TestMethods: what a path does not take is a problem that names what it takes; OPTIONS tells the same, HEAD is a GET without body,
// and starts no stream.
func TestMethods(t *testing.T) {
	w := routedWorld(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"DELETE", "/v1/config", 405, "GET, HEAD, PUT, PATCH, OPTIONS"},
		{"OPTIONS", "/v1/config", 204, "GET, HEAD, PUT, PATCH, OPTIONS"},
		{"OPTIONS", "/v1/services/web", 204, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"},
		{"BREW", "/v1/plan", 405, "POST, OPTIONS"},
		{"OPTIONS", "/nope", 404, ""}, {"BREW", "/nope", 404, ""}, {"HEAD", "/nope", 404, ""},
		{"HEAD", "/v1/services", 200, ""}, {"HEAD", "/v1/monitor", 200, ""}, {"HEAD", "/v1/events", 200, ""}, {"HEAD", "/metrics", 200, ""}, {"GET", "/docs", 200, ""}, {"POST", "/docs", 405, "GET, HEAD, OPTIONS"},
	} {
		response, body := w.request(c.method, c.path, "")
		if response.StatusCode != c.status || response.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, response.StatusCode, response.Header.Get("Allow"), c.status, c.allow)
		}
		if problem := response.Header.Get("Content-Type") == "application/problem+json"; problem != (c.status >= 400) || c.method == "HEAD" && body != "" {
			t.Errorf("%s %s: %v %q", c.method, c.path, response.Header, body)
		}
	}
	w.stopped("HEAD /v1/monitor") // and keeps the connection
	w.watchedBy(0)
}

// TestPatch: fields that a patch has are replaced, null gives the default, lists are replaced; it is as strict as a PUT, needs
// If-Match, and what is refused changes nothing.
func TestPatch(t *testing.T) {
	const (
		service = "/v1/services/dns"
		replica = "/v1/services/dns/replicas/10.0.0.1:53"
		patch   = "application/merge-patch+json"
	)
	w := newWorld(t)
	w.apply(webAndDNS)
	for _, c := range []struct {
		path, kind, match, body string
		status                  int
		want                    string
	}{
		{service, patch, "*", `{"idle":"90s"}`, 200, `"idle":"1m30s"`},
		{service, patch, "*", `{"idle":null,"seed":7}`, 200, `"idle":"2m"`},
		{service, patch, "*", `{"replicas":[{"address":"10.0.0.1:53"}]}`, 200, `"replicas":[{"address":"10.0.0.1:53","weight":1`},
		{replica, patch, "*", `{"weight":5}`, 200, `"weight":5,"state":"active"`},
		{replica, patch, "*", `{"state":"draining"}`, 200, `"weight":5,"state":"draining"`},
		{replica, patch, "*", `{"weight":null,"state":null}`, 200, `"weight":1,"state":"active"`},
		{"/v1/config", patch, "*", `{"interfaces":[{"name":"eth0"}]}`, 200, `"interfaces":[{"name":"eth0"`},
		{"/v1/config", patch, "*", `{}`, 200, `"services":[{"name":"web"`},
		{service, patch, "", `{}`, 428, "If-Match"},
		{service, patch, `"1"`, `{}`, 412, "it is at revision"},
		{service, "application/json", "*", `{}`, 415, patch},
		{service, patch, "*", `[]`, 422, `"location":"body"`},
		{service, patch, "*", `null`, 422, `"location":"body"`},
		{service, patch, "*", `{"sed":7}`, 422, "did you mean"},
		{service, patch, "*", `{"Seed":7}`, 422, "body.Seed"},
		{service, patch, "*", `{"seed":7,"seed":8}`, 422, "a field twice"},
		{service, patch, "*", `{"replicas":[{"address":null}]}`, 422, "body.replicas[0].address"},
		{service, patch, "*", `{"replicas":null}`, 422, "#/replicas"}, // it has no default
		{service, patch, "*", `{"replicas":[]}`, 200, `"replicas":[]`},
		{service, patch, "*", `{"name":"x"}`, 422, "#/name"},
		{service, patch, "*", `{"vip":null}`, 422, "#/vip"},
		{service, patch, "*", `{"seed":`, 400, "not JSON"},
		{"/v1/services/nope", patch, "*", `{}`, 412, "there is no such thing"},
		{"/v1/services/nope", patch, `"0"`, `{}`, 412, "it is at revision"},
		{replica, patch, "*", `{}`, 412, "there is no such thing"}, // its list is empty now
		{"/v1/config", patch, "*", `{"services":null}`, 422, "#/services"},
		{"/v1/config", patch, "*", `{"services":[]}`, 200, `"services":[]`},
	} {
		response, body := w.request("PATCH", c.path, c.body, "Content-Type", c.kind, "If-Match", c.match)
		if c.match == "" {
			response, body = w.request("PATCH", c.path, c.body, "Content-Type", c.kind)
		}
		if c.status == 200 {
			_, body = w.request("GET", "/v1/config", "")
		}
		if response.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s; want %d, %s", c.path, c.body, response.StatusCode, body, c.status, c.want)
		}
	}
	if services, err := w.client.Services(t.Context()); err != nil || len(services.Services) > 0 {
		t.Errorf("%v, %v", services, err)
	}
}

// rawRequest talks HTTP without the client package.
func rawRequest(t *testing.T, socket, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // an answer that should have been a refusal may be a stream
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}
