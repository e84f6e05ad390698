package rest_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
)

const pooled = `pools:
  - {name: backends, replicas: [{address: 10.0.0.1}, {address: 10.0.0.2, weight: 2}]}
  - {name: spare, replicas: [{address: "10.0.0.9:80"}]}
services:
  - {name: web, vip: 192.0.2.1:80, mode: dsr, scheduler: maglev, table_size: 251, pool: backends}
  - {name: tls, vip: 192.0.2.1:443, mode: dsr, scheduler: maglev, table_size: 251, pool: backends}
  - {name: own, vip: 192.0.2.2:80, replicas: [{address: 10.0.0.5:80}]}
`

// addresses are the replicas of a service in the datapath, those that are active.
func (w *world) addresses(vip string) string {
	w.t.Helper()
	services, err := w.dp.Services()
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, s := range services {
		for _, r := range s.Replicas {
			if s.VIP.Address == netip.MustParseAddrPort(vip) && r.State == 0 {
				all = append(all, r.Address.String())
			}
		}
	}
	return strings.Join(all, " ")
}

// TestPools is a session: a pool is read, changed for both its services in one revision, used by another service, kept while it is
// used, and removed; what was set by hand on one service stays one service's.
func TestPools(t *testing.T) {
	w := newWorld(t)
	w.apply(pooled)
	if web, tls := w.addresses("192.0.2.1:80"), w.addresses("192.0.2.1:443"); web != "10.0.0.1:80 10.0.0.2:80" || tls != "10.0.0.1:443 10.0.0.2:443" {
		t.Fatalf("web has %s, tls %s", web, tls)
	}
	ctx := t.Context()
	now, revision, err := w.client.Config(ctx)
	if err != nil || now.Services[0].Pool != "backends" || now.Services[0].Replicas != nil || len(now.Pools) != 2 {
		t.Errorf("configuration %+v, %v", now, err)
	}
	if again, err := w.client.Apply(ctx, now); err != nil || again.Revision != revision || len(again.Steps) != 0 {
		t.Errorf("what is in effect, applied: %+v, %v", again, err)
	}
	listed, err := w.client.Services(ctx)
	if s := listed.Services[1]; err != nil || s.Pool != "backends" || len(s.Replicas) != 2 || s.Replicas[0].Address != "10.0.0.1:443" {
		t.Errorf("listed %+v, %v", listed, err)
	}
	all, err := w.client.Pools(ctx)
	if err != nil || len(all.Pools) != 2 || !cmp.Equal(all.Pools[0].UsedBy, []string{"web", "tls"}) || len(all.Pools[1].UsedBy) != 0 {
		t.Fatalf("pools %+v, %v", all, err)
	}
	if _, err := w.client.SetByHand(ctx, "web", "10.0.0.1:80", false, set(api.Override{State: "down"})); err != nil {
		t.Fatal(err)
	}
	p := all.Pools[0].Pool
	p.Replicas = append(p.Replicas, api.Replica{Address: "10.0.0.3"})
	plan := w.putPool(p, "?dry_run=true", http.StatusOK)
	if strings.Count(plan, `"moved_parts"`) != 2 || !strings.Contains(plan, `"field":"pools[backends].replicas[10.0.0.3].weight"`) || w.addresses("192.0.2.1:443") != "10.0.0.1:443 10.0.0.2:443" {
		t.Errorf("plan %s", plan)
	}
	done, err := w.client.PutPool(ctx, p)
	if err != nil || done.Revision != revision+2 || len(done.Steps) != 2 {
		t.Errorf("put: %+v, %v", done, err)
	}
	if web, tls := w.addresses("192.0.2.1:80"), w.addresses("192.0.2.1:443"); web != "10.0.0.2:80 10.0.0.3:80" || tls != "10.0.0.1:443 10.0.0.2:443 10.0.0.3:443" {
		t.Errorf("web has %s, tls %s", web, tls)
	}
	_, err = w.client.DeletePool(ctx, "backends", false)
	if e := wantStatus(t, err, http.StatusConflict); e.Error() != "pool backends: conflict: used by web, tls" {
		t.Error(e)
	}
	_, err = w.client.DeletePool(ctx, "nothing", false)
	wantStatus(t, err, http.StatusNotFound)
	if _, err := w.client.DeletePool(ctx, "spare", false); err != nil {
		t.Error(err)
	}
	w.poolsComeBack(revision)
}

// poolsComeBack restarts the daemon, and goes back to the revision before the pool had another replica.
func (w *world) poolsComeBack(revision uint64) {
	w.stop()
	t, ctx := w.t, w.t.Context()
	w = start(t, w.dir(), newMemory())
	if web := w.addresses("192.0.2.1:80"); web != "10.0.0.2:80 10.0.0.3:80" {
		t.Errorf("after a restart web has %s", web)
	}
	if _, err := w.client.Rollback(ctx, revision, false); err != nil {
		t.Fatal(err)
	}
	if web := w.addresses("192.0.2.1:80"); web != "10.0.0.2:80" {
		t.Errorf("after a rollback web has %s", web)
	}
	if all, err := w.client.Pools(ctx); err != nil || len(all.Pools) != 2 {
		t.Errorf("after a rollback the pools are %+v, %v", all, err)
	}
}

// putPool puts a pool by hand, and returns the answer.
func (w *world) putPool(p api.Pool, query string, status int) string {
	w.t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.wantRequest("PUT", "/v1/pools/"+p.Name+query, string(text), status)
}

func (w *world) wantRequest(method, path, body string, status int, headers ...string) string {
	w.t.Helper()
	response, text := w.request(method, path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
	if response.StatusCode != status {
		w.t.Errorf("%s %s %s: status %d, want %d: %s", method, path, body, response.StatusCode, status, text)
	}
	return text
}

// TestPoolRefused: what no service can have names the place in the pool and the service, in each request that could bring it about,
// and replicas of a pool are not those of one service. Nothing changes.
func TestPoolRefused(t *testing.T) {
	w := newWorld(t)
	before := w.apply(pooled).Revision
	const web = `{"name":"web","vip":"192.0.2.1:80","mode":"dsr"`
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // in the answer
	}{
		{"PUT", "/v1/pools/backends", `{"name":"backends","replicas":[{"address":"10.0.0.1"},{"address":"10.0.0.2:8080"}]}`, 422,
			`"location":"body.replicas[1].address","pointer":"#/replicas/1/address","message":"services[0] (web) uses it: port 8080 with dsr`},
		{"PUT", "/v1/pools/backends", `{"name":"backends","replicas":[{"address":"10.0.0.1"},{"address":"10.0.0.1:443"}]}`, 422,
			`"location":"body.replicas[1].address","pointer":"#/replicas/1/address","message":"services[1] (tls) uses it: 10.0.0.1:443 is replicas[0] already"`},
		{"PUT", "/v1/pools/backends", `{"name":"backends","replicas":[{"address":"192.0.2.2"}]}`, 422, `services[0] (web) uses it: 192.0.2.2:80 has the address of the service`},
		{"PUT", "/v1/pools/backends", `{"name":"backends"}`, 422, `"location":"body.replicas"`},
		{"PUT", "/v1/pools/backends", `{"name":"backends","replicas":[{"address":"10.0.0.1:0"}]}`, 422, `"message":"port 0"`},
		{"PUT", "/v1/pools/backends", `{"name":"backends","replicas":[{"address":"10.0.0.1"},{"address":"10.0.0.1"}]}`, 422, `"message":"10.0.0.1 is replicas[0] already"`},
		{"PUT", "/v1/pools/backends", `{"name":"backends","replicas":[{"address":"10.0.0"}]}`, 422, `"message":"\"10.0.0\" is not the address of a replica"`},
		{"PUT", "/v1/pools/backends", `{"name":"other","replicas":[]}`, 422, `"location":"body.name"`},
		{"PUT", "/v1/pools/Wrong", `{"name":"Wrong","replicas":[]}`, 422, `"location":"body.name"`},
		{"PUT", "/v1/pools/backends", `{"name":"backends","replicas":[],"services":[]}`, 422, `unknown field`},
		{"PUT", "/v1/services/web", web + `,"pool":"spar"}`, 422, `"location":"body.pool","pointer":"#/pool","message":"\"spar\": there is no such pool","hint":"want one of backends, spare"`},
		{"PUT", "/v1/services/web", web + `,"pool":"spare","replicas":[]}`, 422, `"location":"body.pool","pointer":"#/pool","message":"\"spare\" beside replicas"`},
		{"PUT", "/v1/services/web", web + `}`, 422, `"location":"body.replicas","pointer":"#/replicas","message":"missing, and pool, too"`},
		{"PUT", "/v1/services/tls", `{"name":"tls","vip":"192.0.2.1:443","mode":"dsr","pool":"spare"}`, 422,
			`"location":"body.pool","pointer":"#/pool","message":"pools[1].replicas[0].address: services[1] (tls) uses it: port 80 with dsr`},
		{"PUT", "/v1/services/web", web + `,"pool":"spare","table_size":1}`, 422, `"location":"body.table_size"`},
		{"PUT", "/v1/services/web/replicas/10.0.0.1:80", `{}`, 409, `the replicas of service web: conflict: they are those of pool backends`},
		{"PUT", "/v1/services/web/replicas/10.0.0.7:80", `{}`, 409, `PUT /v1/pools/backends`},
		{"DELETE", "/v1/services/web/replicas/10.0.0.1:80", ``, 409, `pool backends`},
	} {
		if got := w.wantRequest(c.method, c.path, c.body, c.status); !strings.Contains(got, c.want) {
			t.Errorf("%s %s %s: %s\nwant %s", c.method, c.path, c.body, got, c.want)
		}
	}
	patch := []string{"Content-Type", "application/merge-patch+json", "If-Match", "*"}
	w.wantRequest("PATCH", "/v1/services/own", `{"pool":"spare"}`, 422, patch...)
	w.wantRequest("PATCH", "/v1/services/web/replicas/10.0.0.1:80", `{"weight":2}`, 409, patch...)
	for _, bad := range []string{"pool: nothing", "pool: spare, replicas: []", "idle: 10m"} {
		_, err := w.client.Apply(t.Context(), doc(t, strings.Replace(pooled, "pool: backends", bad, 1)))
		wantStatus(t, err, 422)
	}
	if _, revision, err := w.client.Config(t.Context()); err != nil || revision != before {
		t.Errorf("revision %d, %v, want %d", revision, err, before)
	}
	w.wantRequest("PATCH", "/v1/services/own", `{"pool":"spare","replicas":null}`, 200, patch...)
	if own := w.addresses("192.0.2.2:80"); own != "10.0.0.9:80" {
		t.Errorf("own has %s", own)
	}
}
