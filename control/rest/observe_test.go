package rest_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/lb"
	"lbctl/rss/packet"
)

func TestExplainChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	e, err := w.client.Explain(t.Context(), api.Probe{Source: "198.51.100.7:40000", Destination: "192.0.2.1:80", Flags: []string{"syn"}})
	if err != nil {
		t.Fatal(err)
	}
	if e.Service == nil || e.Service.Name != "web" || e.Slot == nil || !strings.HasPrefix(e.Hash, "0x") || e.Owner == "" {
		t.Errorf("explanation %+v", e)
	}
	other, err := w.client.Explain(t.Context(), api.Probe{Source: "198.51.100.7:40000", Destination: "192.0.2.9:80"})
	if err != nil || other.Reason != "not_ours" || other.Service != nil || other.Slot != nil {
		t.Errorf("explanation of another address %+v, %v", other, err)
	}
	counters, err := w.client.Counters(t.Context())
	if err != nil || counters.Packets != 0 || len(counters.Reasons) < 10 {
		t.Errorf("counters %+v, %v", counters, err)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.apply("interfaces: [{name: eth0}]\n" + webAndDNS)
	w.drain(noon.Add(time.Hour))
	w.wantMetrics(
		`lbctl_packets_total{reason="forwarded"} 0`,
		`lbctl_packets_total{reason="not_ours"} 0`,
		`lbctl_service_packets_total{service="web"} 0`,
		`lbctl_replica_weight{replica="10.0.0.1:53",service="dns"} 3`,
		`lbctl_interface_attached{interface="eth0",mode="native"} 1`,
		`lbctl_intent_revision 3`,
		`lbctl_replica_state{replica="10.0.0.1:80",service="web",state="draining"} 1`,
		`lbctl_service_replicas{service="web",state="active"} 1`,
		`lbctl_replica_drain_deadline_timestamp_seconds{replica="10.0.0.1:80",service="web"} 1896094800`,
		`lbctl_replica_safe_to_remove{replica="10.0.0.1:80",service="web"} 0`,
		`lbctl_replica_old_flow_slots{replica="10.0.0.1:80",service="web"} 1`,
		`lbctl_service_info{protocol="tcp",service="web",vip="192.0.2.1:80"} 1`,
		`lbctl_service_slots_in_transition{service="web"} 1`,
		`lbctl_ready 1`,
	)
}

// schemas are names of fields that scripts rely on, by schema.
var schemas = map[string][]string{
	"Service": {"mode", "tracking", "idle"}, "Replica": {"state", "drain_until"}, "ReplicaSpec": {"weight", "state", "drain_until"},
	"ReplicaStatus": {"flow_counts", "safe_to_remove", "drain_until", "lately", "reason"}, "ReplicaFlows": {"established", "half_open", "old_flow_slots"},
	"ServiceFlows": {"vip", "protocol", "slots_in_transition", "tracking", "slots", "replicas"}, "Change": {"revision", "steps", "intent"},
	"Effect": {"changes", "moved_parts", "parts", "share", "flows_ended", "at_least"}, "Problem": {"detail", "hint", "errors"},
}

func TestOpenAPI(t *testing.T) {
	w := newWorld(t)
	_, text := w.request("GET", "/openapi.json", "")
	var spec struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`

		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(spec.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", spec.OpenAPI)
	}
	for path, methods := range map[string][]string{
		"/v1/config":                             {"get", "put"},
		"/v1/services":                           {"get"},
		"/v1/services/{name}":                    {"get", "put", "delete"},
		"/v1/services/{name}/replicas":           {"get"},
		"/v1/services/{name}/replicas/{address}": {"put", "delete"},
		"/v1/interfaces":                         {"get"},
		"/v1/interfaces/{name}":                  {"put", "delete"},
		"/v1/counters":                           {"get"},
		"/v1/flows":                              {"get"},
		"/v1/replicas":                           {"get"},
		"/v1/explain":                            {"post"},
		"/v1/explain/batch":                      {"post"},
	} {
		for _, m := range methods {
			if spec.Paths[path][m] == nil {
				t.Errorf("no %s %s", m, path)
			}
		}
	}
	for schema, names := range schemas {
		for _, n := range names {
			if spec.Components.Schemas[schema].Properties[n] == nil {
				t.Errorf("schema %s has no %s", schema, n)
			}
		}
	}
	if _, yaml := w.request("GET", "/openapi.yaml", ""); !strings.Contains(yaml, "openapi: 3.1") {
		t.Errorf("openapi.yaml: %.100s", yaml)
	}
	if _, body := w.request("GET", "/v1/services", ""); strings.Contains(body, "$schema") {
		t.Errorf("$schema in %s", body)
	}
}

const threeServices = `interfaces: [{name: eth0}]
services:
  - {name: c, vip: "192.0.2.3:80", replicas: [{address: "10.0.0.1:80"}]}
  - {name: a, vip: "192.0.2.1:80", replicas: [{address: "10.0.0.1:81", state: down}]}
  - {name: b, vip: "192.0.2.2:80", health: {type: tcp}, replicas: [{address: "10.0.0.2:80"}]}
`

// TestStatusOfServices: whether a service is programmed, healthy and ready.
func TestStatusOfServices(t *testing.T) {
	w := routedWorld(t)
	w.apply(threeServices)
	of := func(name string) string {
		s, err := w.client.ServiceConditions(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, c := range s.Conditions {
			text = append(text, c.Type+" "+c.Status+" "+c.Reason)
		}
		return strings.Join(text, ", ")
	}
	vip := lb.VIP{Address: netip.MustParseAddrPort("192.0.2.2:80"), Protocol: packet.TCP}
	found := func(s engine.HealthStatus, reason string) {
		w.engine.SetHealth(t.Context(), map[engine.Endpoint]engine.Health{{VIP: vip, Replica: netip.MustParseAddrPort("10.0.0.2:80")}: {Status: s, Since: time.Unix(1e9, 0), Reason: reason}})
	}
	want := func(name, text string) {
		t.Helper()
		if got := of(name); got != text {
			t.Errorf("%s: %s, want %s", name, got, text)
		}
	}
	want("a", "Programmed true InSync, Healthy unknown NotChecked, Ready false NoReplica")
	want("b", "Programmed true InSync, Healthy unknown NotCheckedYet, Ready true TakesNewFlows")
	found(engine.Unhealthy, "connection refused")
	want("b", "Programmed true InSync, Healthy false ChecksFail, Ready true TakesNewFlows") // on_all_unhealthy: all
	found(engine.Healthy, "")
	want("b", "Programmed true InSync, Healthy true ChecksPass, Ready true TakesNewFlows")
	s, err := w.client.ServiceConditions(t.Context(), "b")
	if err != nil || !s.Conditions[1].Since.Equal(time.Unix(1e9, 0)) {
		t.Errorf("healthy since %v, %v", s.Conditions[1].Since, err)
	}
	if err := w.dp.RemoveService(t.Context(), vip); err != nil {
		t.Fatal(err)
	}
	found(engine.Healthy, "once more") // what others do to the datapath is seen when something changes, or 10 s later
	want("b", "Programmed false NotInDatapath, Healthy true ChecksPass, Ready false NotProgrammed")
	is := lb.Service{VIP: vip, Scheduler: lb.Modulo, Replicas: []lb.Replica{{Address: netip.MustParseAddrPort("10.0.0.9:80"), Weight: 1}}}
	if err := w.dp.SetService(t.Context(), is.WithDefaults()); err != nil {
		t.Fatal(err)
	}
	found(engine.Healthy, "and again")
	want("b", "Programmed false AnotherInDatapath, Healthy true ChecksPass, Ready false NotProgrammed")
	node, err := w.client.Status(t.Context())
	since := w.clock.Now()
	all := []api.Condition{{Type: "Programmed", Status: "false", Reason: "ServicesDiffer", Message: "1 of 3 services; service b", Since: &since}, {Type: "Ready", Status: "true", Reason: "ForwardsAsIntended", Since: &since}}
	if diff := cmp.Diff(all, node.Conditions); err != nil || diff != "" {
		t.Errorf("the node: %v (-want +got):\n%s", err, diff)
	}
}

// TestPages: lists in pieces go on after a name, whatever has been removed meanwhile.
func TestPages(t *testing.T) {
	w := routedWorld(t)
	w.apply(threeServices + `pools:
  - {name: c, replicas: [{address: "10.0.0.3:80"}]}
  - {name: a, replicas: [{address: "10.0.0.4:80"}]}
  - {name: b, replicas: [{address: "10.0.0.5:80"}]}
`)
	page := func(path string) (names []string, next string) {
		var out struct {
			Services, Pools []struct{ Name string }
			Replicas        []struct {
				Name string `json:"service_name"`
			}
			Next string
		}
		_, text := w.request("GET", path, "")
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatalf("%s: %v in %s", path, err, text)
		}
		for _, s := range append(out.Services, out.Pools...) {
			names = append(names, s.Name)
		}
		for _, r := range out.Replicas {
			names = append(names, r.Name)
		}
		return names, out.Next
	}
	for _, list := range []string{"/v1/services", "/v1/status", "/v1/replicas", "/v1/flows", "/v1/pools"} {
		for query, want := range map[string]string{"": "[c a b] ", "?limit=2": "[a b] b", "?limit=2&after=b": "[c] ", "?limit=3": "[a b c] ", "?after=aa&limit=1": "[b] b", "?after=c": "[] "} {
			names, next := page(list + query)
			if got := fmt.Sprint(names, " ", next); got != want {
				t.Errorf("%s%s: %s, want %s", list, query, got, want)
			}
		}
		if list == "/v1/pools" {
			continue
		}
		for query, want := range map[string]string{"?service=a": "[a] ", "?service=b,c": "[c b] ", "?service=c,a&limit=1": "[a] a", "?service=c&after=d": "[] "} {
			names, next := page(list + query)
			if got := fmt.Sprint(names, " ", next); got != want {
				t.Errorf("%s%s: %s, want %s", list, query, got, want)
			}
		}
		_, all := w.request("GET", list, "")
		if _, text := w.request("GET", list+"?service=a,b,c", ""); text != all {
			t.Errorf("%s: %s\nbut of all that there are: %s", list, all, text)
		}
		if text := w.wantRequest("GET", list+"?service=a,d", "", 404); !strings.Contains(text, `service \"d\": not found`) {
			t.Errorf("%s?service=a,d: %s", list, text)
		}
	}
}

// A service is found by the name that it has now: names may change places.
func TestServiceByName(t *testing.T) {
	w := routedWorld(t)
	w.apply(threeServices)
	for _, renamed := range []string{threeServices, strings.NewReplacer("name: c", "name: a", "name: a", "name: d").Replace(threeServices)} {
		w.apply(renamed)
		for n, name := range []string{"c", "a", "b", "d"} {
			vip := fmt.Sprintf("192.0.2.%d:80", []int{3, 1, 2, 0}[n])
			if renamed != threeServices {
				vip = fmt.Sprintf("192.0.2.%d:80", []int{0, 3, 2, 1}[n])
			}
			for _, path := range []string{"/v1/services/" + name, "/v1/services/" + name + "/status", "/v1/services?service=" + name} {
				response, text := w.request("GET", path, "")
				if is, missing := strings.Contains(text, vip), response.StatusCode == 404; is == missing || missing != strings.Contains(vip, ".0:") {
					t.Errorf("%s: %d %s, want %s", path, response.StatusCode, text, vip)
				}
			}
		}
	}
}

// Counters may be had by reason, service or replica alone.
func TestCountersBy(t *testing.T) {
	w := routedWorld(t)
	w.apply(threeServices)
	w.dp.lose("", lb.Loss{Interface: "eth0", Cause: lb.LostTX, Packets: 1})
	for by, want := range map[string][4]bool{"": {true, true, true, true}, "reason": {true, false, false, true}, "service": {false, true, false, false}, "service,replica": {false, true, true, false}} {
		c, err := w.client.Counters(t.Context(), strings.FieldsFunc(by, func(c rune) bool { return c == ',' })...)
		if got := [4]bool{len(c.Reasons) > 0, len(c.Services) == 3, len(c.Replicas) == 3, len(c.Losses) == 1}; err != nil || got != want {
			t.Errorf("by %q: %v, want %v, of reasons, services, replicas and losses; %v", by, got, want, err)
		}
	}
	w.wantRequest("GET", "/v1/counters?by=client", "", 422)
}
