package access_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"lbctl/control/access"
	"lbctl/control/api"
)

// Users and groups of the tests: this host has none of these numbers.
const (
	opsGroup   = 700_001
	watchGroup = 700_002
	alice      = 700_010
	bob        = 700_011
)

// policyOf makes a policy of the flags' texts.
func policyOf(t *testing.T, operators, viewers string) access.Policy {
	t.Helper()
	p := access.Policy{Owner: 700_099, SocketGroup: opsGroup}
	for text, rules := range map[string]*access.Rules{operators: &p.Operators, viewers: &p.Viewers} {
		if text == "" {
			continue
		}
		if err := rules.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestRolesOfTheSocket: who is what, by user, group and supplementary groups, asked of the kernel over a real socket.
func TestRolesOfTheSocket(t *testing.T) {
	groups := make([]int, 300) // more than are asked for at first
	for n := range groups {
		groups[n] = 710_000 + n
	}
	byDefault, named := policyOf(t, "", ""), policyOf(t, fmt.Sprintf("user:%d,cn:boss", alice), fmt.Sprintf("group:%d", watchGroup))
	for _, c := range []struct {
		name          string
		policy        access.Policy
		as            somebody
		read, changed int
	}{
		{"root", byDefault, somebody{uid: 0, gid: 0}, 200, 200},
		{"the daemon's user", byDefault, somebody{uid: 700_099, gid: bob}, 200, 200},
		{"the socket's group", byDefault, somebody{uid: bob, gid: opsGroup}, 200, 200},
		{"a supplementary group", byDefault, somebody{bob, bob, append(groups, opsGroup)}, 200, 200},
		{"no group", byDefault, somebody{bob, bob, groups}, 403, 403},
		{"root, others named", named, somebody{uid: 0, gid: 0}, 200, 200},
		{"an operator by name", named, somebody{uid: alice, gid: bob}, 200, 200},
		{"a viewer by group", named, somebody{bob, bob, []int{watchGroup}}, 200, 403},
		{"an operator who is a viewer, too", named, somebody{alice, bob, []int{watchGroup}}, 200, 200},
		{"the socket's group, others named", named, somebody{uid: bob, gid: opsGroup}, 403, 403},
		{"a user with the number of a group", named, somebody{uid: watchGroup, gid: bob}, 403, 403},
		{"a group with the number of a user", named, somebody{bob, alice, []int{alice}}, 403, 403},
		{"nobody", named, somebody{uid: 65534, gid: 65534}, 403, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.onSocket(c.policy, 0o666)
			if status, text := w.request(c.as, "GET", "/v1/config", ""); status != c.read {
				t.Errorf("read: %d %s, want %d", status, text, c.read)
			}
			status, text := w.request(c.as, "PUT", "/v1/services/web", `{"name":"web","vip":"192.0.2.1:80","replicas":[]}`)
			if status != c.changed {
				t.Errorf("change: %d %s, want %d", status, text, c.changed)
			}
			if services := len(w.engine.Now().Intent.Services); (services == 1) != (c.changed == 200) {
				t.Errorf("%d services after status %d", services, status)
			}
		})
	}
}

// TestSocketForItsGroup: with the mode that it has by default, who is not of the group does not reach the socket.
func TestSocketForItsGroup(t *testing.T) {
	w := newWorld(t)
	w.onSocket(policyOf(t, "", ""), 0o660)
	status, text := w.request(somebody{uid: bob, gid: bob}, "GET", "/healthz", "")
	if status != 0 || !strings.Contains(text, "permission denied") {
		t.Errorf("%d %s, want a refused connection", status, text)
	}
}

// operation is an operation of the description.
type operation struct {
	ID         string `json:"operationId"`
	Role       string `json:"x-lbctl-role"`
	Parameters []struct {
		Name, In string
		Schema   any
	}
	RequestBody struct {
		Content map[string]struct{ Schema any }
	}
}

// description is the part of the OpenAPI description that tests read.
type description struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]any }
}

func (w *world) description() (d description) {
	w.t.Helper()
	status, text := w.request(somebody{}, "GET", "/openapi.json", "")
	if err := json.Unmarshal([]byte(text), &d); status != 200 || err != nil || len(d.Paths) < 10 {
		w.t.Fatalf("%d %v: %d paths", status, err, len(d.Paths))
	}
	return d
}

// asking are the operations that change nothing although their method is no GET.
var asking = map[string]bool{"plan-config": true, "explain": true, "explain-batch": true}

// TestEveryOperationHasARole: a viewer gets what is stated for viewers and nothing else, by whatever route, and changes nothing.
func TestEveryOperationHasARole(t *testing.T) {
	w := newWorld(t)
	w.onSocket(policyOf(t, "", fmt.Sprintf("group:%d", watchGroup)), 0o666)
	const web = `{"name":"web","vip":"192.0.2.1:80","replicas":[{"address":"10.0.0.1:80"}]}`
	if status, text := w.request(somebody{}, "PUT", "/v1/services/web", web); status != 200 {
		t.Fatal(status, text)
	}
	before := w.engine.Now()
	fill := strings.NewReplacer("{name}", "web", "{address}", "10.0.0.1:80", "{revision}", "1")
	viewer, outsider := somebody{bob, bob, []int{watchGroup}}, somebody{bob, bob, nil}
	for path, operations := range w.description().Paths {
		for method, op := range operations {
			method = strings.ToUpper(method)
			reads := method == http.MethodGet || asking[op.ID]
			switch {
			case op.Role != "viewer" && op.Role != "operator":
				t.Errorf("%s %s (%s) states no role: put it into roles of control/rest/guard.go", method, path, op.ID)
			case op.Role == "viewer" && !reads:
				t.Errorf("%s %s is for viewers: does it change nothing? Then put it into asking", method, path)
			}
			body := web
			if method == http.MethodGet {
				body = ""
			}
			status, text := w.request(viewer, method, fill.Replace(path), body)
			if (status == http.StatusForbidden) != (op.Role != "viewer") || status == 0 || status >= 500 && path != "/readyz" {
				t.Errorf("%s %s as a viewer: %d %s; it needs %q", method, path, status, text, op.Role)
			}
			if status, text := w.request(outsider, method, fill.Replace(path), web); status != http.StatusForbidden {
				t.Errorf("%s %s without a role: %d %s", method, path, status, text)
			}
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/metrics", 200}, {"GET", "/openapi.json", 200}, {"GET", "/openapi.yaml", 200}, {"HEAD", "/v1/config", 200}, {"GET", "/none", 404},
		{"PUT", "/healthz", 405}, {"PUT", "//v1/services/web", 403}, {"PUT", "/v1/services/%77eb", 403}, {"put", "/v1/config", 405},
		{"GET", "/debug/pprof/", 403}, {"GET", "/debug/pprof/heap", 403}, {"POST", "/debug/pprof/symbol", 405},
	} {
		body := web
		if c.method == "GET" || c.method == "HEAD" {
			body = ""
		}
		if status, text := w.request(viewer, c.method, c.path, body); status != c.status {
			t.Errorf("%s %s as a viewer: %d %.200s, want %d", c.method, c.path, status, text, c.status)
		}
		if status, _ := w.request(outsider, c.method, c.path, web); status != http.StatusForbidden {
			t.Errorf("%s %s without a role: %d", c.method, c.path, status)
		}
	}
	if now := w.engine.Now(); now != before {
		t.Errorf("revision %d became %d", before.Number, now.Number)
	}
}

// TestRefusalSaysWho: the answer names who asked, what that is, and who may.
func TestRefusalSaysWho(t *testing.T) {
	w := newWorld(t)
	w.onSocket(policyOf(t, "user:700010", "group:700002"), 0o666)
	status, text := w.request(somebody{bob, bob, []int{watchGroup}}, "DELETE", "/v1/services/web", "")
	var p api.Problem
	if err := json.Unmarshal([]byte(text), &p); err != nil || status != 403 {
		t.Fatal(status, text, err)
	}
	want := api.Problem{Type: "about:blank", Title: "Forbidden", Status: 403,
		Detail: "uid 700011 is a viewer, and DELETE /v1/services/{name} needs an operator",
		Hint:   "ask an operator, or have serve --operators name you: root, or one of user:700010"}
	if fmt.Sprint(p) != fmt.Sprint(want) {
		t.Errorf("%+v\nwant %+v", p, want)
	}
}

// TestRules: what a rule may be, and what is said of one that is wrong.
func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		"user:root": "", "group:root,user:0": "", "cn:a,ou:b,dns:c.example,uri:spiffe://x/y": "", "user:4711": "",
		"root": `rule "root": invalid`, "user:": "want user, group", "group:no-such-group-here": "no such group on this host", "": `rule ""`, "user:root,": `rule ""`,
		"user:4294967296": "no such user", "user:-1": "no such user", "User:root": "want user",
	} {
		var rules access.Rules
		err := rules.Set(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err == nil && rules.String() != text {
			t.Errorf("%q is written %q", text, rules.String())
		}
	}
}
