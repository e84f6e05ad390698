package rest_test

import (
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"lbctl/control/api"
	"lbctl/lb"

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
	w.dp.losses = []lb.Loss{{Interface: "eth1", Cause: lb.LostTransmit, Packets: 7, Error: "no such device or address"}}
	want := []api.LossCount{{Interface: "eth1", Cause: "transmit", Packets: 7, Error: "no such device or address"}}
	if page, c := told(); !strings.Contains(page, "\n"+series+"\n") || !slices.Equal(c.Losses, want) {
		t.Errorf("7 are lost: %+v", c.Losses)
	}
	w.dp.losses, w.dp.lossesUnknown = nil, "this kernel tells no types"
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

// TestMetricsOfMany: ten thousand replicas make a page of less than 3 MB.
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
	if len(page) > 3_000_000 {
		t.Errorf("%d bytes for 10,000 replicas, want at most 3 MB", len(page))
	}
	t.Logf("%d bytes, %d allocated", len(page), after.TotalAlloc-before.TotalAlloc)
}
