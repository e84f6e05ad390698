package rest_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
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

// What GET /v1/config answers can be applied, as JSON and as the file that it is saved as, and there is
// nothing to do then: also with a deadline that has passed, and an interface that is missing.
func TestConfigRoundTrip(t *testing.T) {
	w := newWorld(t)
	w.apply("interfaces: [{name: eth0}, {name: eth1, mode: generic}]\n" + webAndDNS)
	w.dp.unplug("eth1")
	w.drain(noon.Add(-time.Second))
	w.wantFirst("down", "")
	doc, revision, err := w.client.Config(t.Context())
	if err != nil || len(doc.Interfaces) != 2 || doc.Services[0].Replicas[0].DrainUntil != "2030-01-31T11:59:59Z" {
		t.Fatalf("config %+v, %v", doc, err)
	}
	text, err := config.Write(doc)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := config.Parse("saved.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if _, err := wire.Resolve(saved.Config, intent.Default()); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	plan, err := w.client.Plan(t.Context(), saved.Config)
	if err != nil || len(plan.Steps)+len(plan.Intent) != 0 {
		t.Errorf("plan of what is there: %+v, %v", plan, err)
	}
	done, err := w.client.ApplyAt(t.Context(), saved.Config, revision)
	if err != nil || len(done.Steps)+len(done.Intent) != 0 || done.Revision != revision {
		t.Errorf("apply of what is there at revision %d: %+v, %v", revision, done, err)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	response, answer := w.request(http.MethodGet, "/v1/config", "")
	if etag := response.Header.Get("ETag"); etag == "" || answer != string(body)+"\n" {
		t.Errorf("ETag %q, %s, want %s", etag, answer, body)
	}
}

// A wanted interface that is missing shows everywhere.
func TestAMissingInterfaceShows(t *testing.T) {
	w := newWorld(t)
	w.apply("interfaces: [{name: eth0}, {name: eth1}]\n" + web)
	w.dp.unplug("eth1")
	_, err := w.client.Ready(t.Context())
	if e := wantStatus(t, err, http.StatusServiceUnavailable); e.Problem.Detail != "interface eth1 is wanted in mode auto: not attached" {
		t.Errorf("not ready: %v", e)
	}
	w.apply(webAndDNS) // tries again, and knows why
	all, err := w.client.Interfaces(t.Context())
	if err != nil || len(all.Interfaces) != 2 {
		t.Fatalf("interfaces %+v, %v", all, err)
	}
	if i := all.Interfaces[1]; i.State != "missing" || i.IfIndex != 0 || i.Mode != "" || i.RequestedMode != "auto" || i.Reason == "" {
		t.Errorf("eth1 is %+v", i)
	}
	w.wantMetrics(`lbctl_interface_unfulfilled{interface="eth0"} 0`, `lbctl_interface_unfulfilled{interface="eth1"} 1`, `lbctl_ready 0`)
}
