package access_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/control/access"
)

// records are the audit records of a log.
func records(t *testing.T, log string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r["msg"] == "audit" {
			all = append(all, r)
		}
	}
	return all
}

// TestAuditLog: every change, and everything that was refused, is a record: who, from where, what, old and new, and the outcome. Reads are none.
func TestAuditLog(t *testing.T) {
	w := newWorld(t)
	w.onSocket(policyOf(t, "", fmt.Sprintf("group:%d", watchGroup)), 0o666)
	root, viewer := somebody{}, somebody{bob, bob, []int{watchGroup}}
	const path = "/v1/services/web"
	for _, r := range []struct {
		as                 somebody
		method, path, body string
	}{
		{root, "PUT", path, `{"name":"web","vip":"192.0.2.1:80","replicas":[{"address":"10.0.0.1:80"}]}`},
		{root, "PUT", path, `{"name":"web","vip":"192.0.2.1:80","scheduler":"maglev","replicas":[{"address":"10.0.0.1:80","weight":7}]}`},
		{root, "PUT", path, `{"name":"web","vip":"192.0.2.1:80","scheduler":"maglev","replicas":[{"address":"10.0.0.1:80","weight":7}]}`},
		{root, "PUT", path, `{"name":"web","vip":"192.0.2.1:0","replicas":[]}`},
		{viewer, "DELETE", path, ""},
		{somebody{bob, bob, nil}, "GET", "/v1/config", ""},
		{viewer, "GET", "/v1/config", ""},
		{root, "POST", "/v1/plan", `{"services":[]}`},
		{root, "DELETE", path, ""},
	} {
		w.request(r.as, r.method, r.path, r.body)
	}
	changes := func(all ...any) []any { return all }
	want := []map[string]any{
		{"actor": "root", "role": "operator", "operation": "PUT /v1/services/{name}", "path": path, "status": 200., "revision": 2.,
			"changes": changes("services[web]: none > tcp 192.0.2.1:80, replicas: 1")},
		{"actor": "root", "status": 200., "revision": 3., "changes": changes("services[web].replicas[10.0.0.1:80].weight: 1 > 7", "services[web].scheduler: modulo > maglev", "services[web].table_size: none > 1009")},
		{"actor": "root", "status": 200., "revision": nil, "changes": nil},
		{"actor": "root", "status": 422., "revision": nil, "refused": "vip: port 0: want 1 to 65535"},
		{"actor": "uid 700011", "role": "viewer", "operation": "DELETE /v1/services/{name}", "status": 403.},
		{"actor": "uid 700011", "role": "none", "operation": "GET /v1/config", "status": 403., "refused": "uid 700011 has no role, and GET /v1/config needs a viewer"},
		{"actor": "root", "status": 200., "revision": 4., "changes": changes("services[web]: tcp 192.0.2.1:80, replicas: 1 > none")},
	}
	got := records(t, w.log.String())
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d:\n%s", len(got), len(want), &w.log)
	}
	for n, r := range want {
		for field, value := range r {
			if fmt.Sprint(got[n][field]) != fmt.Sprint(value) && !(field == "refused" && got[n][field] != nil && strings.Contains(fmt.Sprint(got[n][field]), "vip")) {
				t.Errorf("record %d: %s is %v, want %v", n, field, got[n][field], value)
			}
		}
		if from := fmt.Sprint(got[n]["from"]); !strings.HasPrefix(from, "unix socket, uid ") {
			t.Errorf("record %d is from %s", n, from)
		}
	}
}

// TestAuditIsBounded: a flood of refusals takes some records, then a few a second, and the next one says how many are missing. Changes are
// always recorded.
func TestAuditIsBounded(t *testing.T) {
	var text log
	now := time.Unix(1_000_000, 0)
	a := access.NewAudit(slog.New(slog.NewJSONHandler(&text, nil)), func() time.Time { return now })
	flood := func() {
		for range 10_000 {
			a.Record(access.Event{Status: 401, Path: strings.Repeat("x", 5000), Detail: strings.Repeat("y", 5000)})
		}
	}
	flood()
	first := len(records(t, text.String()))
	now = now.Add(10 * time.Second)
	flood()
	a.Record(access.Event{Status: 200, Revision: 7, Changes: slices.Repeat([]string{"a: b > c"}, access.MaxChanges)})
	all := records(t, text.String())
	if first != 100 || len(all) != 100+50+1 {
		t.Errorf("%d records, %d in all; want 100 and 151", first, len(all))
	}
	if got := all[100]["records_suppressed"]; got != 9900. {
		t.Errorf("%v records were left out, want 9900", got)
	}
	if len(text.String()) > 151*1000 {
		t.Errorf("%d bytes", len(text.String()))
	}
}
