// Package prometheus holds the rules for Prometheus and the dashboard for Grafana against what the real daemon tells a real
// Prometheus.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"lbctl/bpf/need"
	"lbctl/control/api"
	"lbctl/testbed/bed"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

// balancer is the real daemon in a namespace, with a service and an interface.
type balancer struct {
	*bed.Product
	bed *bed.Bed
	in  *netns.Namespace
}

const (
	metricsAddress    = "127.0.0.1:9402" // where the daemon serves them by default
	prometheusAddress = "127.0.0.1:9090"
)

func check(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	need.Root(t)
	program := filepath.Join(t.TempDir(), "lbctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b := &balancer{}
	var err error
	b.bed, err = bed.New(program, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { check(t, b.bed.Close()) })
	var client *netns.Namespace
	b.in, err = b.bed.Router("balancer")
	check(t, err)
	client, err = b.bed.Namespace("client")
	check(t, err)
	link, _, err := netns.Veth(netns.End{Namespace: b.in, Name: "eth0"}, netns.End{Namespace: client, Name: "eth0"}, 0)
	check(t, err)
	check(t, link.AddAddress(netip.MustParsePrefix("10.0.0.1/24")))
	b.Product, err = b.bed.Serve(t.Context(), b.in, "balancer", api.Config{Services: []api.Service{}})
	check(t, err)
	check(t, b.Apply(t.Context(), "native", []string{"eth0"}, api.Service{Name: "web", VIP: "192.0.2.1:80", Replicas: []api.Replica{
		{Address: "10.0.0.2:80"}, {Address: "10.0.0.3:80", State: "draining"},
	}}))
	return b
}

// get asks a server in the namespace.
func (b *balancer) get(address string) (string, error) {
	c := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		return b.in.Dial(address, 5*time.Second)
	}}}
	answer, err := c.Get(address)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status + ": " + string(text))
	}
	return string(text), err
}

// series are the labels and their values by the name of the series.
type series map[string]map[string][]string

// scraped reads the page of metrics.
func scraped(t *testing.T, page string) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	check(t, err)
	all := series{"up": {}}
	for name, f := range families {
		labels := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		if all[name] = labels; f.GetMetric()[0].GetHistogram() != nil {
			all[name+"_count"], all[name+"_sum"] = labels, labels
			all[name+"_bucket"] = map[string][]string{"le": {"1"}}
			for l, v := range labels {
				all[name+"_bucket"][l] = v
			}
		}
	}
	if strings.Contains(page, "# TYPE lbctl_lost_packets_total") { // nothing is lost here
		all["lbctl_lost_packets_total"] = map[string][]string{"interface": {""}, "cause": {""}}
	}
	if states := all["lbctl_replica_flows"]; states == nil && strings.Contains(page, "# TYPE lbctl_replica_flows") { // nor recorded
		all["lbctl_replica_flows"] = map[string][]string{"service": {""}, "replica": {""}, "state": {""}}
	}
	return all
}

// TestQueriesNameWhatThereIs: each metric, label and value in rules and dashboard is one of the real daemon's, and its page is as
// Prometheus wants it.
func TestQueriesNameWhatThereIs(t *testing.T) {
	b := newBalancer(t)
	page, err := b.get("http://" + metricsAddress + "/metrics")
	check(t, err)
	lint, err := promlint.New(strings.NewReader(page)).Lint()
	check(t, err)
	for _, p := range lint {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	var recorded []string
	for _, r := range readRules(t).Groups[0].Rules {
		recorded = append(recorded, r.Record)
	}
	have := scraped(t, page)
	for _, q := range queries(t) {
		for _, p := range problemsOf(q, have, recorded) {
			t.Errorf("%s: %s: %s", q.where, q.text, p)
		}
	}
}

// TestPromtool: Prometheus's own tool takes the files, and each alert fires where it should and not where it should not.
func TestPromtool(t *testing.T) {
	need.Programs(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "lbctl.rules.yaml"}, {"check", "config", "prometheus.yaml"}, {"test", "rules", "lbctl.rules.test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tested, err := os.ReadFile("lbctl.rules.test.yaml")
	check(t, err)
	for _, r := range readRules(t).Groups[0].Rules {
		if r.Alert != "" && (!strings.Contains(string(tested), r.Alert+" fires") || !strings.Contains(string(tested), r.Alert+" does not fire")) {
			t.Errorf("%s is not tested both ways", r.Alert)
		}
	}
}

// TestPrometheus: a real one scrapes the real daemon, answers every query of rules and dashboard, and an alert fires when the
// last replica of a service is set down.
func TestPrometheus(t *testing.T) {
	need.Programs(t, "prometheus")
	b := newBalancer(t)
	b.startPrometheus(t)
	b.until(t, "the target is up", func() bool {
		return strings.Contains(b.ask(t, "/api/v1/query?query="+url.QueryEscape(`up{job="lbctl"} == 1`)), `"1"`)
	})
	variables := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$instance", ".*", "$service", ".*")
	for _, q := range queries(t) {
		if answer := b.ask(t, "/api/v1/query?query="+url.QueryEscape(variables.Replace(q.text))); !strings.Contains(answer, `"status":"success"`) {
			t.Errorf("%s: %s", q.where, answer)
		}
	}
	if answer := b.ask(t, "/api/v1/query?query="+url.QueryEscape(`lbctl_replica_wanted_ratio{replica="10.0.0.2:80"}`)); !strings.Contains(answer, `"1"]`) {
		t.Errorf("what a replica is to get: %s", answer)
	}
	if firing := b.firing(t); len(firing) > 0 {
		t.Errorf("alerts before: %v", firing)
	}
	_, err := b.Control.PutReplica(t.Context(), "web", api.Replica{Address: "10.0.0.2:80", State: "down"})
	check(t, err)
	b.until(t, "an alert fires", func() bool { return b.firing(t)["LbctlServiceWithoutReplica"] })
}

func (b *balancer) startPrometheus(t *testing.T) {
	t.Helper()
	rules, err := filepath.Abs("lbctl.rules.yaml")
	check(t, err)
	text, err := os.ReadFile("prometheus.yaml")
	check(t, err)
	config := filepath.Join(t.TempDir(), "prometheus.yaml")
	faster := strings.NewReplacer("15s", "1s", "[lbctl.rules.yaml]", "["+rules+"]").Replace(string(text))
	check(t, os.WriteFile(config, []byte(faster), 0o600))
	p, err := helper.Start(b.in, "prometheus", "prometheus", "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+prometheusAddress)
	check(t, err)
	b.bed.OnClose(p.End)
	check(t, helper.Until(t.Context(), time.Minute, "prometheus", func() error {
		_, err := b.get("http://" + prometheusAddress + "/-/ready")
		return err
	}, p.Over))
}

// ask asks Prometheus. What it refuses is an answer, too.
func (b *balancer) ask(t *testing.T, path string) string {
	t.Helper()
	text, err := b.get("http://" + prometheusAddress + path)
	if err != nil {
		return err.Error()
	}
	return text
}

// firing are the names of the alerts that fire.
func (b *balancer) firing(t *testing.T) map[string]bool {
	t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	check(t, json.Unmarshal([]byte(b.ask(t, "/api/v1/alerts")), &answer))
	all := map[string]bool{}
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			all[a.Labels["alertname"]] = true
		}
	}
	return all
}

func (b *balancer) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	check(t, helper.Until(t.Context(), time.Minute, what, func() error {
		if !is() {
			return errors.New("not yet")
		}
		return nil
	}, nil))
}
