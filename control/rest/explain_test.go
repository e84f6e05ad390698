package rest_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/control/rest"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// everywhere is one way to all addresses, out of eth1.
type everywhere struct{}

func (everywhere) Route(netip.Addr) (oracle.Route, bool) {
	return oracle.Route{Interface: "eth1", Index: 3, MTU: 1500, Source: lb.MAC{2, 0, 0, 0, 0, 3}, Neighbour: lb.MAC{2, 0, 0, 0, 0, 9}}, true
}

func routedWorld(t *testing.T) *world {
	t.Helper()
	memory := oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}, Routes: everywhere{}})
	w := start(t, shortDir(t), memory)
	w.apply("interfaces: [{name: eth0}, {name: eth1}]\n" + web)
	return w
}

// routedWorldOf is routedWorld with a server of little patience.
func routedWorldOf(t *testing.T, patience time.Duration) *world {
	t.Helper()
	memory := oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}, Routes: everywhere{}})
	w := startWith(t, shortDir(t), memory, newClock(), rest.Options{Version: "test", Patience: patience})
	w.apply("interfaces: [{name: eth0}, {name: eth1}]\n" + web)
	return w
}

func (w *world) explain(p api.Probe) api.Explanation {
	w.t.Helper()
	e, err := w.client.Explain(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func toWeb(flags ...string) api.Probe {
	return api.Probe{Source: "198.51.100.7:40000", Destination: "192.0.2.1:80", Flags: flags}
}

func frameToWeb(flags packet.TCPFlags) []byte {
	return packet.Frame{Flags: flags, Flow: packet.Flow{
		Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
	}}.Marshal()
}

func TestExplainShowsTheRewrite(t *testing.T) {
	w := routedWorld(t)
	e := w.explain(toWeb())
	fields := map[string]api.FieldChange{}
	for _, c := range e.Rewrite {
		fields[c.Field] = c
	}
	for field, after := range map[string]string{
		"eth.dst": "02:00:00:00:00:09", "eth.src": "02:00:00:00:00:03", "ip.ttl": "63", "ip.dst": strings.TrimSuffix(e.Replica, ":80"),
	} {
		if fields[field].After != after {
			t.Errorf("%s: %+v, want it to become %s", field, fields[field], after)
		}
	}
	if _, changed := fields["ip.src"]; changed || len(e.Before) != 108 || len(e.After) != 108 {
		t.Errorf("explanation %+v", e)
	}
	if e.Choice != "owner" || e.InTransition || e.Record != "" || e.NextHop == nil || e.Flow == nil || e.Flow.Source != "198.51.100.7:40000" {
		t.Errorf("explanation %+v", e)
	}
}

// TestExplainActions: where the packet came in decides how it leaves.
func TestExplainActions(t *testing.T) {
	w := routedWorld(t)
	for ingress, want := range map[string]string{"": "send", "eth0": "redirect", "eth1": "tx"} {
		p := toWeb()
		p.Interface = ingress
		if e := w.explain(p); e.Reason != "forwarded" || e.Action != want {
			t.Errorf("in on %q: %s, %s, want %s", ingress, e.Reason, e.Action, want)
		}
	}
	if e := w.explain(api.Probe{Frame: make([]byte, 60)}); e.Reason != "not_ip" || e.Action != "pass" || e.Flow != nil {
		t.Errorf("not IP: %+v", e)
	}
	if e := w.explain(api.Probe{Frame: make([]byte, 5)}); e.Reason != "malformed_ethernet" || e.Action != "drop" || e.After != "" {
		t.Errorf("cut short: %+v", e)
	}
}

// TestExplainOfASlotInTransition: the answer has the record, both owners, and why a replica was chosen.
func TestExplainOfASlotInTransition(t *testing.T) {
	w := routedWorld(t)
	replica := w.explain(toWeb()).Replica
	if _, err := w.client.PutReplica(t.Context(), "web", api.Replica{Address: replica, State: "draining"}); err != nil {
		t.Fatal(err)
	}
	if e := w.explain(toWeb()); e.Replica != replica || e.Choice != "previous_owner" {
		t.Errorf("a flow from before: %+v", e)
	}
	fresh := w.explain(toWeb("syn"))
	if fresh.Replica == replica || fresh.Choice != "assigned" {
		t.Errorf("one that starts: %+v", fresh)
	}
	if e := w.explain(toWeb("syn", "ack")); e.Replica != replica {
		t.Errorf("syn and ack does not start a flow: %+v", e)
	}
	w.dp.Process(2, frameToWeb(packet.SYN))
	if e := w.explain(toWeb()); e.Replica != fresh.Replica || e.Choice != "recorded" || e.Record != "half_open" || e.Recorded != fresh.Replica {
		t.Errorf("after it started: %+v", e)
	}
	w.dp.Process(2, frameToWeb(packet.ACK))
	if e := w.explain(toWeb()); e.Record != "established" {
		t.Errorf("after it went on: %+v", e)
	}
	w.wantMetrics(
		`lbctl_replica_flows{replica="`+fresh.Replica+`",service="web",state="established"} 1`,
		`lbctl_replica_state{replica="`+replica+`",service="web",state="draining"} 1`,
		`lbctl_service_replicas{service="web",state="active"} 1`,
	)
	_, page := w.request("GET", "/metrics", "")
	if !strings.Contains(page, "lbctl_service_slots_in_transition{") || strings.Contains(page, `lbctl_service_slots_in_transition{service="web"} 0`) {
		t.Error("metrics lack the slots in transition")
	}
}

func TestExplainBatch(t *testing.T) {
	w := routedWorld(t)
	probes := []api.Probe{toWeb(), {Frame: frameToWeb(packet.SYN), Interface: "eth0"}, {Frame: []byte{0}}, {Frame: make([]byte, 60)}}
	full, err := w.client.ExplainBatch(t.Context(), api.Probes{Probes: probes})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.explain(toWeb()), full.Explanations[0]); diff != "" {
		t.Errorf("in a batch (-alone +batch):\n%s", diff)
	}
	brief, err := w.client.ExplainBatch(t.Context(), api.Probes{Probes: probes, Brief: true})
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, e := range brief.Explanations {
		reasons = append(reasons, e.Reason)
		if e.Before != "" || e.After != "" || e.Rewrite != nil || e.Service != nil && e.Service.Replicas != nil {
			t.Errorf("not brief: %+v", e)
		}
	}
	want := []string{"forwarded", "forwarded", "malformed_ethernet", "not_ip"}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if e := brief.Explanations[1]; e.Service.Name != "web" || e.Action != "redirect" {
		t.Errorf("explanation %+v", e)
	}
}
