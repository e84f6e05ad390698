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
