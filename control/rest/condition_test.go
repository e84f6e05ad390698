package rest_test

import (
	"net/http"
	"testing"
)

// conditions are changes that are made only if something exists, or only if it does not yet (RFC 9110, section 13.1), at
// revision 2, and what is answered.
var conditions = []struct {
	method, path, body string
	header, value      string
	status             int
}{
	{"PUT", "/v1/services/web", `{"name":"web","vip":"192.0.2.9:80","replicas":[]}`, "If-None-Match", "*", 412},
	{"PUT", "/v1/services/new", `{"name":"new","vip":"192.0.2.9:80","replicas":[]}`, "If-None-Match", "*", 200},
	{"PUT", "/v1/services/web", `{"name":"web","vip":"192.0.2.9:80","replicas":[]}`, "If-Match", "*", 200},
	{"PUT", "/v1/services/new", `{"name":"new","vip":"192.0.2.9:80","replicas":[]}`, "If-Match", "*", 412},
	{"PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"state":"down"}`, "If-None-Match", "*", 412},
	{"PUT", "/v1/services/web/replicas/10.0.0.9:80", `{"state":"down"}`, "If-None-Match", "*", 200},
	{"PUT", "/v1/services/web/replicas/10.0.0.1:80", `{"state":"down"}`, "If-Match", "*", 200},
	{"PUT", "/v1/services/web/replicas/10.0.0.9:80", `{"state":"down"}`, "If-Match", "*", 412},
	{"DELETE", "/v1/services/web/replicas/10.0.0.1:80", "", "If-None-Match", "*", 412},
	{"DELETE", "/v1/services/web", "", "If-None-Match", "*", 412},
	{"DELETE", "/v1/services/web", "", "If-Match", "*", 200},
	{"PUT", "/v1/interfaces/eth0", `{}`, "If-None-Match", "*", 200},
	{"PUT", "/v1/interfaces/eth0", `{}`, "If-Match", "*", 412},
	{"PUT", "/v1/config", `{"services":[]}`, "If-None-Match", "*", 412},
	{"PUT", "/v1/config", `{"services":[]}`, "If-Match", "*", 200},
	{"PUT", "/v1/config", `{"services":[]}`, "If-None-Match", `"2"`, 412},
	{"PUT", "/v1/config", `{"services":[]}`, "If-None-Match", `W/"2"`, 412},
	{"PUT", "/v1/config", `{"services":[]}`, "If-None-Match", `"1", "3"`, 200},
	{"PUT", "/v1/config", `{"services":[]}`, "If-None-Match", "2", 400},
	{"PUT", "/v1/config", `{"services":[]}`, "If-Match", `"0"`, 412},
	{"PUT", "/v1/config", `{"services":[]}`, "If-Match", `"2"`, 200},
}

func TestConditions(t *testing.T) {
	for _, c := range conditions {
		w := newWorld(t)
		w.apply(web)
		response, body := w.request(c.method, c.path, c.body, "Content-Type", "application/json", c.header, c.value)
		if response.StatusCode != c.status {
			t.Errorf("%s %s with %s: %s: status %d, want %d: %s", c.method, c.path, c.header, c.value, response.StatusCode, c.status, body)
		}
		_, revision, err := w.client.Config(t.Context())
		if changed := revision != 2; err != nil || changed != (c.status == http.StatusOK) {
			t.Errorf("%s %s with %s: %s: revision %d, %v", c.method, c.path, c.header, c.value, revision, err)
		}
		w.stop()
	}
}

// A client that has the configuration of the present revision is not sent it again.
func TestNotModified(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	_, whole := w.request("GET", "/v1/config", "")
	for _, c := range []struct {
		path, value string
		status      int
	}{
		{"/v1/config", `"2"`, 304}, {"/v1/config", `"1", W/"2"`, 304}, {"/v1/config", "*", 304},
		{"/v1/config", `"1"`, 200}, {"/v1/config", "2", 400},
		{"/v1/flows", `"2"`, 200}, {"/v1/replicas", `"2"`, 200}, {"/v1/services", `"2"`, 200}, // what they say changes without a revision
	} {
		response, body := w.request("GET", c.path, "", "If-None-Match", c.value)
		if response.StatusCode != c.status || c.status != 400 && response.Header.Get("ETag") != `"2"` {
			t.Errorf("%s with %s: status %d, ETag %s, want %d", c.path, c.value, response.StatusCode, response.Header.Get("ETag"), c.status)
		}
		if c.path == "/v1/config" && (c.status == 304 && body != "" || c.status == 200 && body != whole) {
			t.Errorf("%s with %s: %d and a body of %d bytes", c.path, c.value, c.status, len(body))
		}
	}
}
