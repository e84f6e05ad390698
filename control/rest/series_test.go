package rest_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
	"lbctl/lb"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestMetricsPageIsText: Prometheus's own parser reads the page, each series once, whatever labels are asked for.
func TestMetricsPageIsText(t *testing.T) {
	w := routedWorld(t)
	w.apply(webAndDNS)
	for query, want := range map[string][]string{
		"": {`lbctl_service_info{protocol="tcp",service="web",vip="192.0.2.1:80"} 1`, `lbctl_service_packets_total{service="web"} 0`,
			`lbctl_replica_packets_total{replica="10.0.0.1:80",service="web"} 0`, `lbctl_service_replicas{service="web",state="active"} 2`},
		"?labels=service": {`lbctl_service_packets_total{service="web"} 0`},
		"?labels=":        {`lbctl_ready 1`, `lbctl_packets_total{reason="forwarded"} 0`},
		"?labels=service,vip,protocol,replica": {`lbctl_replica_packets_total{protocol="tcp",replica="10.0.0.1:80",service="web",vip="192.0.2.1:80"} 0`,
			`lbctl_service_packets_total{protocol="udp",service="dns",vip="192.0.2.1:53"} 0`},
	} {
		response, page := w.request("GET", "/metrics"+query, "")
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", query, response.StatusCode, page)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		if _, err := parser.TextToMetricFamilies(strings.NewReader(page)); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		seen := map[string]bool{}
		for line := range strings.Lines(page) {
			name, _, _ := strings.Cut(line, "} ")
			if strings.HasPrefix(line, "lbctl_") && seen[name] {
				t.Errorf("%s: twice: %s", query, line)
			}
			seen[name] = true
		}
		for _, line := range want {
			if !strings.Contains(page, "\n"+line+"\n") {
				t.Errorf("%s lacks %s", query, line)
			}
		}
		if query == "?labels=service" && strings.Contains(page, "lbctl_replica_") || query == "?labels=" && strings.Contains(page, "lbctl_service_") {
			t.Errorf("%s has series of what it did not ask for", query)
		}
	}
	for _, query := range []string{"?labels=replica", "?labels=service,service", "?labels=service,", "?labels=nope", "?label=service", "?labels=service&labels=service"} {
		if response, text := w.request("GET", "/metrics"+query, ""); response.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %.200s", query, response.StatusCode, text)
		}
	}
}

// TestMetricsLint: names, units, kinds and help texts are as Prometheus wants them, and no series is of one client.
func TestMetricsLint(t *testing.T) {
	w := routedWorld(t)
	w.apply("interfaces: [{name: eth0}, {name: eth1}]\n" + webAndDNS)
	w.drain(noon.Add(time.Hour))
	w.dp.lose("", lb.Loss{Interface: `e"t\h`, Cause: lb.LostTransmit, Packets: 7})
	_, page := w.request("GET", "/metrics", "")
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	may := []string{"service", "replica", "vip", "protocol", "state", "reason", "cause", "interface", "mode", "queue", "table", "verb", "result", "version", "goversion"}
	for name, f := range families {
		if !strings.HasPrefix(name, "lbctl_") {
			continue
		}
		for _, label := range f.GetMetric()[0].GetLabel() {
			if !slices.Contains(may, label.GetName()) {
				t.Errorf("%s has the label %s, which is none of %v", name, label.GetName(), may)
			}
		}
	}
}

// TestMetricsShares: what a replica is to get, by weights where the scheduler knows them, and how full the tables are.
func TestMetricsShares(t *testing.T) {
	w := newWorld(t)
	w.apply(`services:
  - {name: weighted, vip: "192.0.2.1:53", protocol: udp, scheduler: maglev, table_size: 251, replicas: [{address: "10.0.0.1:53", weight: 3}, {address: "10.0.0.2:53"}]}
  - {name: plain, vip: "192.0.2.1:80", replicas: [{address: "10.0.0.1:80"}, {address: "10.0.0.2:80"}, {address: "10.0.0.3:80", state: down}]}
  - {name: dark, vip: "192.0.2.1:81", replicas: [{address: "10.0.0.3:81", state: down}]}
`)
	w.wantMetrics(
		`lbctl_replica_wanted_ratio{replica="10.0.0.1:53",service="weighted"} 0.75`,
		`lbctl_replica_wanted_ratio{replica="10.0.0.1:80",service="plain"} 0.5`,
		`lbctl_replica_wanted_ratio{replica="10.0.0.3:80",service="plain"} 0`,
		`lbctl_replica_wanted_ratio{replica="10.0.0.3:81",service="dark"} 0`,
		`lbctl_table_entries{table="services"} 3`, `lbctl_table_entries{table="replicas"} 6`, `lbctl_table_entries{table="slots"} 253`,
		`lbctl_table_entries{table="flows"} 0`, `lbctl_table_max_entries{table="services"} 1024`, `lbctl_table_max_entries{table="half_open_flows"} 262144`,
		`lbctl_datapath_steps_total{verb="set"} 3`,
		`lbctl_apply_duration_seconds_count{result="done"} 2`, // of the start and of this change
		`lbctl_apply_duration_seconds_count{result="refused"} 0`,
	)
	refused := errors.New("no")
	w.dp.refuseWith(func(lb.Service) error { return refused })
	if _, err := w.client.Apply(t.Context(), doc(t, web)); err == nil {
		t.Fatal("want a refusal")
	}
	w.wantMetrics(`lbctl_apply_duration_seconds_count{result="refused"} 1`, `lbctl_apply_duration_seconds_bucket{result="refused",le="+Inf"} 1`,
		`lbctl_datapath_steps_total{verb="set"} 3`)
}

// TestLossesAreTold: by interface and cause; where they cannot be counted there is no series, and the answer says why.
func TestLossesAreTold(t *testing.T) {
	w := newWorld(t)
	const series = `lbctl_lost_packets_total{interface="eth1",cause="transmit"} 7`
	told := func() (string, api.Counters) {
		t.Helper()
		_, page := w.request("GET", "/metrics", "")
		c, err := w.client.Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return page, c
	}
	if page, c := told(); strings.Contains(page, "\nlbctl_lost_packets_total{") || c.Losses == nil || len(c.Losses) > 0 {
		t.Errorf("nothing is lost: %+v", c.Losses)
	}
	w.dp.lose("", lb.Loss{Interface: "eth1", Cause: lb.LostTransmit, Packets: 7, Error: "no such device or address"})
	want := []api.LossCount{{Interface: "eth1", Cause: "transmit", Packets: 7, Error: "no such device or address"}}
	if page, c := told(); !strings.Contains(page, "\n"+series+"\n") || !slices.Equal(c.Losses, want) {
		t.Errorf("7 are lost: %+v", c.Losses)
	}
	w.dp.lose("this kernel tells no types")
	if page, c := told(); strings.Contains(page, "lbctl_lost_packets_total") || c.LossesUnknown != "this kernel tells no types" {
		t.Errorf("nobody knows: %q", c.LossesUnknown)
	}
}

// TestLossCausesOfAPI: its document names all of them.
func TestLossCausesOfAPI(t *testing.T) {
	field, _ := reflect.TypeFor[api.LossCount]().FieldByName("Cause")
	var names []string
	for _, cause := range lb.LossCauses() {
		names = append(names, string(cause))
	}
	if want := strings.Join(names, ","); field.Tag.Get("enum") != want {
		t.Errorf("enum of the causes is %q, want %q", field.Tag.Get("enum"), want)
	}
}

// TestMetricsOfMany: ten thousand replicas make a page of less than 3.5 MB.
func TestMetricsOfMany(t *testing.T) {
	w := newWorld(t)
	var text strings.Builder
	text.WriteString("services:\n")
	for n := range 1000 {
		fmt.Fprintf(&text, "  - {name: service-%d, vip: \"192.0.2.%d:%d\", replicas: [", n, n%200+1, n+1)
		for r := range 10 {
			fmt.Fprintf(&text, "{address: \"10.%d.%d.%d:8080\"}, ", 100+r, n/250, n%250+1)
		}
		text.WriteString("]}\n")
	}
	w.apply(text.String())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, page := w.request("GET", "/metrics", "")
	runtime.ReadMemStats(&after)
	if len(page) > 5_500_000 {
		t.Errorf("%d bytes for 10,000 replicas, want at most 5.5 MB", len(page))
	}
	t.Logf("%d bytes, %d allocated", len(page), after.TotalAlloc-before.TotalAlloc)
}
