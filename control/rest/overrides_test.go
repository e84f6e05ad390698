package rest_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/control/api"
	"lbctl/control/client"
)

// set returns how a replica is set by hand.
func set(o api.Override) client.ByHand {
	return func(string, api.Replica, api.ByHand) (*api.Override, error) { return &o, nil }
}

// setFirst sets the first replica of web by hand.
func (w *world) setFirst(o api.Override) api.Change {
	w.t.Helper()
	change, err := w.client.SetByHand(w.t.Context(), "web", "10.0.0.1:80", false, set(o))
	if err != nil {
		w.t.Fatal(err)
	}
	return change
}

// verbs are what a change does to what was set by hand: "kept web 10.0.0.1:80 down (active)".
func verbs(c api.Change) (all []string) {
	for _, o := range c.Overrides {
		all = append(all, fmt.Sprintf("%s %s %s %s (%s)", o.Verb, o.ServiceName, o.Replica, o.State, o.Declared.State))
	}
	return all
}

func (w *world) wantVerbs(what string, c api.Change, err error, want ...string) {
	w.t.Helper()
	if got := verbs(c); err != nil || !cmp.Equal(got, want) {
		w.t.Errorf("%s: %q, %v; want %q", what, got, err, want)
	}
}

const aDown = "web 10.0.0.1:80 down (active)"

// Another configuration keeps what was set by hand and says so, until it is told to take it back; the configuration is
// what it was, and an earlier one brings no override with it.
func TestAConfigurationKeepsOverrides(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	before, _, err := w.client.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.wantVerbs("set", w.setFirst(api.Override{State: "down", Note: "disk"}), nil, "set "+aDown)
	w.wantFirst("down", "")
	after, _, err := w.client.Config(t.Context())
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("the configuration has changed: %v\n%s", err, diff)
	}
	r, overrides := w.first(), api.Overrides{}
	if overrides, err = w.client.Overrides(t.Context()); err != nil || len(overrides.Overrides) != 1 {
		t.Fatalf("%+v, %v", overrides, err)
	}
	o := overrides.Overrides[0]
	if o.Actor == "" || o.Since != "2030-01-31T12:00:00Z" || o.Note != "disk" || !cmp.Equal(r.Override, &o.Override) || !cmp.Equal(r.Declared, o.Declared) || r.Declared.State != "active" {
		t.Errorf("overrides %+v, replica %+v", o, r)
	}
	ctx := t.Context()
	plan, err := w.client.Plan(ctx, doc(t, web))
	w.wantVerbs("plan", plan, err, "kept "+aDown)
	w.wantVerbs("apply", w.apply(webAndDNS), nil, "kept "+aDown)
	w.wantFirst("down", "")
	plan, err = w.client.Plan(ctx, doc(t, web), "web")
	w.wantVerbs("plan that takes back", plan, err, "taken_back "+aDown)
	w.wantFirst("down", "")
	rolled, err := w.client.Rollback(ctx, 2, true)
	w.wantVerbs("dry rollback", rolled, err, "kept "+aDown)
	rolled, err = w.client.Rollback(ctx, 2, false)
	w.wantVerbs("rollback", rolled, err, "kept "+aDown)
	w.wantFirst("down", "")
	done, err := w.client.Apply(ctx, doc(t, webAndDNS), "dns")
	w.wantVerbs("apply that takes back of another service", done, err, "kept "+aDown)
	done, err = w.client.Apply(ctx, doc(t, web), "*")
	w.wantVerbs("apply that takes all back", done, err, "taken_back "+aDown)
	w.wantFirst("active", "")
	rolled, err = w.client.Rollback(ctx, 4, false)
	w.wantVerbs("rollback to a revision with an override", rolled, err)
	w.wantFirst("active", "")
	w.setFirst(api.Override{State: "down"})
	w.wantVerbs("apply without the replica", w.apply(strings.Replace(web, "{address: 10.0.0.1:80}, ", "", 1)), nil, "removed "+aDown)
	w.wantVerbs("apply with it again", w.apply(web), nil)
	w.wantFirst("active", "")
}

// What was set by hand outlives the daemon, and what GET answers can be put back.
func TestOverridesOutliveTheDaemon(t *testing.T) {
	w := newWorld(t)
	w.apply(webAndDNS)
	w.setFirst(api.Override{State: "draining", DrainUntil: "2030-01-31T13:00:00Z"})
	three := int64(9)
	if _, err := w.client.SetByHand(t.Context(), "dns", "10.0.0.1:53", false, set(api.Override{Weight: &three})); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w = startAt(t, w.dir(), w.dp.Datapath, w.clock)
	w.wantFirst("draining", "2030-01-31T13:00:00Z")
	_, text := w.request("GET", "/v1/overrides", "")
	for _, path := range []string{"/v1/overrides", "/v1/services/web"} {
		_, body := w.request("GET", path, "")
		response, answer := w.request("PUT", path, body, "Content-Type", "application/json")
		if response.StatusCode != http.StatusOK || response.Header.Get("ETag") != `"4"` {
			t.Errorf("put back %s: %s %s", body, response.Header.Get("ETag"), answer)
		}
	}
	if _, again := w.request("GET", "/v1/overrides", ""); again != text {
		t.Errorf("overrides %s, want %s", again, text)
	}
	done, err := w.client.TakeBack(t.Context(), "dns", false)
	if err != nil || len(done.Overrides) != 1 || *done.Overrides[0].Weight != 9 {
		t.Errorf("take back of dns: %+v, %v", done, err)
	}
	if done, err := w.client.TakeBack(t.Context(), "", true); err != nil || len(done.Overrides) != 1 {
		t.Errorf("take back, dry: %+v, %v", done, err)
	}
	w.wantFirst("draining", "2030-01-31T13:00:00Z")
	if done, err := w.client.TakeBack(t.Context(), "", false); err != nil || len(done.Overrides) != 1 {
		t.Errorf("take back: %+v, %v", done, err)
	}
	w.wantFirst("active", "")
}

// The phases of a drain: what it has, that it has nothing left, and that its deadline came. A host is drained in one change.
func TestDrainPhases(t *testing.T) {
	w := newWorld(t)
	w.apply(webAndDNS)
	host := netip.MustParseAddr("10.0.0.1")
	drain := set(api.Override{State: "draining", DrainUntil: "2030-01-31T13:00:00Z"})
	if done, err := w.client.SetHostByHand(t.Context(), host, true, drain); err != nil || len(done.Overrides) != 2 || done.Revision != 2 {
		t.Errorf("dry: %+v, %v", done, err)
	}
	if done, err := w.client.SetHostByHand(t.Context(), host, false, drain); err != nil || len(done.Overrides) != 2 || done.Revision != 3 {
		t.Errorf("%+v, %v; want both replicas in one revision", done, err)
	}
	wantPhase := func(want string) {
		t.Helper()
		all, err := w.client.Traffic(t.Context())
		uncounted := strings.Replace(want, "drained", "draining", 1)
		if got := w.first().DrainPhase; err != nil || got != want || all.Replicas[0].DrainPhase != uncounted {
			t.Errorf("phase %q, of all %+v, %v; want %q", got, all.Replicas[0], err, want)
		}
	}
	wantPhase("draining")
	w.dp.Advance(2 * 10 * time.Minute)
	wantPhase("drained")
	w.clock.waitArmed(t)
	set := w.watchSet()
	w.clock.advance(time.Hour)
	w.waitSet(set)
	w.waitSet(set)
	w.stop()
	w = startAt(t, w.dir(), w.dp.Datapath, w.clock)
	wantPhase("ended")
	w.wantFirst("down", "")
	if _, err := w.client.TakeBack(t.Context(), "", false); err != nil {
		t.Fatal(err)
	}
	wantPhase("")
	w.wantFirst("active", "")
	_, err := w.client.SetHostByHand(t.Context(), netip.MustParseAddr("10.0.0.99"), false, drain)
	if err == nil || !strings.Contains(err.Error(), "10.0.0.99") {
		t.Errorf("no such host: %v", err)
	}
}

// wrongOverrides are bodies, and what is said of them.
var wrongOverrides = []struct {
	method, path, body string
	status             int
	location           string
	what, hint         string
}{
	{"PUT", "one", `{}`, 422, "body.state", "nothing is set by hand", "active, draining or down"},
	{"PUT", "one", `{"note": "disk"}`, 422, "body.state", "nothing is set by hand", "delete the override"},
	{"PUT", "one", `{"state": "drained"}`, 422, "body.state", `"drained" is not known`, "active, draining or down"},
	{"PUT", "one", `{"state": 7}`, 422, "body.state", "", ""},
	{"PUT", "one", `{"status": "down"}`, 422, "body.status", "unknown field", "state"},
	{"PUT", "one", `{"state": "down", "state": "active"}`, 422, "body.state", "", ""},
	{"PUT", "one", `{"state": "down", "drain_until": "2030-01-31T12:00:00Z"}`, 422, "body.drain_until", "2030-01-31T12:00:00Z with state down", "leave it out"},
	{"PUT", "one", `{"drain_until": "2030-01-31T12:00:00Z", "weight": 5}`, 422, "body.drain_until", "with state active", "state: draining"},
	{"PUT", "one", `{"state": "draining", "drain_until": "soon"}`, 422, "body.drain_until", `"soon" is not a deadline`, "2030-01-31T12:00:00Z"},
	{"PUT", "one", `{"weight": 0}`, 422, "body.weight", "0 is not a weight", "1 to 65535"},
	{"PUT", "one", `{"weight": 5}`, 422, "body.weight", "5 with modulo", "maglev"},
	{"PUT", "one", `{"state": "down", "note": "a\nb"}`, 422, "body.note", "is not one", "one line of text"},
	{"PUT", "one", `{"state": "down", "note": "` + strings.Repeat("x", 201) + `"}`, 422, "body.note", "201 characters", "at most 200"},
	{"PUT", "none", `{"state": "down"}`, 404, "", "10.0.0.9:80", "get replicas"},
	{"PUT", "noservice", `{"state": "down"}`, 404, "", `"nope"`, "get services"},
	{"PUT", "noaddress", `{"state": "down"}`, 422, "path.address", `"first" is not an address`, "192.0.2.1:80"},
	{"GET", "one", "", 404, "", "10.0.0.1:80", "get overrides"},
	{"DELETE", "one", "", 404, "", "10.0.0.1:80", "get overrides"},
	{"DELETE", "/v1/overrides?service=nope", "", 404, "", `"nope"`, "get services"},
	{"PUT", "/v1/overrides", `{}`, 422, "body.overrides", "missing", "overrides: []"},
	{"PUT", "/v1/overrides", `{"overrides": [{"service_name": "web", "replica": "10.0.0.9:80", "state": "down"}]}`, 422, "body.overrides[0].replica", "10.0.0.9:80: service web has no such replica", "get replicas web"},
	{"PUT", "/v1/overrides", `{"overrides": [{"service_name": "nope", "replica": "10.0.0.1:80", "state": "down"}]}`, 422, "body.overrides[0].service_name", `"nope": there is no such service`, "get services"},
	{"PUT", "/v1/overrides", `{"overrides": [{"replica": "10.0.0.1:80", "state": "down"}]}`, 422, "body.overrides[0].service_name", "missing", "name: web"},
	{"PUT", "/v1/overrides", `{"overrides": [{"service_name": "web", "replica": "10.0.0.1", "state": "down"}]}`, 422, "body.overrides[0].replica", `"10.0.0.1" is not an address and a port`, "192.0.2.1:80"},
	{"PUT", "/v1/overrides", `{"overrides": [{"service_name": "web", "replica": "10.0.0.1:80", "weight": 5}]}`, 422, "body.overrides[0].weight", "5 with modulo", "maglev"},
	{"PUT", "/v1/overrides", `{"overrides": [{"service_name": "web", "replica": "10.0.0.1:80", "state": "down"}, {"service_name": "web", "replica": "10.0.0.1:80", "state": "active"}]}`, 422, "body.overrides[1].replica", "10.0.0.1:80 of web is overrides[0] already", "once"},
	{"PUT", "/v1/config?take_back=nope", "CONFIG", 422, "query.take_back", `"nope": there is no such service`, "* for all"},
}

func TestWrongOverrides(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	_, config := w.request("GET", "/v1/config", "")
	paths := map[string]string{"one": "/v1/services/web/replicas/10.0.0.1:80/override", "none": "/v1/services/web/replicas/10.0.0.9:80/override",
		"noservice": "/v1/services/nope/replicas/10.0.0.1:80/override", "noaddress": "/v1/services/web/replicas/first/override"}
	for _, c := range wrongOverrides {
		path, known := paths[c.path]
		if !known {
			path = c.path
		}
		response, text := w.request(c.method, path, strings.Replace(c.body, "CONFIG", config, 1), "Content-Type", "application/json")
		if response.StatusCode != c.status || !strings.Contains(text, c.hint) || !strings.Contains(strings.ReplaceAll(text, `\"`, `"`), c.what) ||
			!strings.Contains(text, fmt.Sprintf("%q", c.location)) && c.location != "" {
			t.Errorf("%s %s %s: %d %s; want %d, %s, %s, %s", c.method, path, c.body, response.StatusCode, text, c.status, c.location, c.what, c.hint)
		}
	}
	if _, revision, err := w.client.Config(t.Context()); err != nil || revision != 2 {
		t.Errorf("revision %d, %v; want 2: nothing has changed", revision, err)
	}
}

// Conditions hold for overrides as for all else, and for a dry run.
func TestOverrideConditions(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	const one = "/v1/services/web/replicas/10.0.0.1:80/override"
	for _, c := range []struct {
		method, path, header, value string
		status                      int
	}{
		{"PUT", one, "If-Match", `"1"`, 412}, {"PUT", one + "?dry_run=true", "If-Match", `"1"`, 412}, {"PUT", one, "If-Match", "*", 412},
		{"PUT", one + "?dry_run=true", "If-Match", `"2"`, 200}, {"PUT", one, "If-None-Match", "*", 200}, {"PUT", one, "If-None-Match", "*", 412},
		{"DELETE", one + "?dry_run=true", "If-Match", "*", 200}, {"DELETE", one, "If-Match", "*", 200}, {"DELETE", one, "If-Match", "*", 412},
	} {
		response, text := w.request(c.method, c.path, `{"state": "down"}`, c.header, c.value, "Content-Type", "application/json")
		if response.StatusCode != c.status {
			t.Errorf("%s %s %s: %s: %d %s, want %d", c.method, c.path, c.header, c.value, response.StatusCode, text, c.status)
		}
	}
}

// Whoever changes the configuration, and whoever sets by hand: no change undoes one of the other kind, and of those at one
// revision one wins.
func TestOverridesBesideApplies(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	_, revision, err := w.client.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for n := range 16 {
		writers.Go(func() {
			var err error
			if n%2 == 0 {
				_, err = w.client.ApplyAt(t.Context(), doc(t, fmt.Sprintf("%s    seed: %d\n", web, n+1)), revision)
			} else {
				response, text := w.request("PUT", "/v1/services/web/replicas/10.0.0.1:80/override", fmt.Sprintf(`{"state": "down", "note": "%d"}`, n),
					"If-Match", fmt.Sprintf(`"%d"`, revision), "Content-Type", "application/json")
				if response.StatusCode != http.StatusOK {
					err = fmt.Errorf("%s", text)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	writers.Wait()
	if won != 1 {
		t.Errorf("%d won at one revision", won)
	}
	w.setFirst(api.Override{State: "down"})
	for n := range 8 {
		writers.Go(func() {
			if _, err := w.client.Apply(t.Context(), doc(t, fmt.Sprintf("%s    seed: %d\n", web, n))); err != nil {
				t.Error(err)
			}
		})
		writers.Go(func() {
			_, err := w.client.SetByHand(t.Context(), "web", "10.0.0.2:80", false, set(api.Override{State: "draining", Note: fmt.Sprint(n)}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	all, err := w.client.Overrides(t.Context())
	want := []api.ReplicaOverride{
		{ServiceName: "web", Replica: "10.0.0.1:80", Override: api.Override{State: "down"}},
		{ServiceName: "web", Replica: "10.0.0.2:80", Override: api.Override{State: "draining"}},
	}
	if diff := cmp.Diff(want, all.Overrides, cmpopts.IgnoreFields(api.Override{}, "Actor", "Since", "Note"), cmpopts.IgnoreFields(api.ReplicaOverride{}, "Declared")); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
