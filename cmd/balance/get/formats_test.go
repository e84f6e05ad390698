package get_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/control/api"
)

// TestFormats: every kind is printed in every form, in the singular and the plural.
func TestFormats(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	w.OK("replica", "add", "dns", "[2001:db8:1::10]:53", "--weight", "2")
	w.OK("replica", "add", "dns", "[2001:db8:1::9]:53", "--weight", "10")
	for _, c := range []struct{ line, want string }{
		{"get services -o name", "service/web\nservice/dns\n"},
		{"get service dns -o name", "service/dns\n"},
		{"get services --sort-by name --no-headers", "dns  [2001:db8::1]:53  udp  nat  maglev  toeplitz  always   251  3\nweb  192.0.2.1:80      tcp  nat  modulo  jhash     changes  2    2\n"},
		{"get replica dns -o name --sort-by replica", "replica/dns/[2001:db8:1::1]:53\nreplica/dns/[2001:db8:1::9]:53\nreplica/dns/[2001:db8:1::10]:53\n"},
		{"get replicas dns -o name --sort-by=-weight", "replica/dns/[2001:db8:1::9]:53\nreplica/dns/[2001:db8:1::1]:53\nreplica/dns/[2001:db8:1::10]:53\n"},
		{"get interface -o name", "interface/eth0\n"},
		{"get interface eth0 -o yaml", "interfaces:\n- name: eth0\n  state: attached\n  ifindex: 2\n  mode: native\n  requested_mode: auto\n"},
		{"get flow -o name", "service/web\nservice/dns\nreplica/web/10.0.0.1:8080\nreplica/web/10.0.0.2:8080\nreplica/dns/[2001:db8:1::1]:53\nreplica/dns/[2001:db8:1::10]:53\nreplica/dns/[2001:db8:1::9]:53\n"},
		{"get counter no_replica --no-headers -o wide", "no_replica  0  0  yes\nall         0  0  -\n"},
		{"get revision -o name", "revision/3\nrevision/2\nrevision/1\n"},
		{"get revisions --sort-by revision -o name", "revision/1\nrevision/2\nrevision/3\n"},
		{"get services -o jsonpath={.services[*].name}", "web dns\n"},
		{"get services -o jsonpath=services[1].replicas[?(@.weight>2)].address", "[2001:db8:1::1]:53 [2001:db8:1::9]:53\n"},
		{"get config -o jsonpath={.datapath.limits.flows}", "1048576\n"},
		{"get services -o jsonpath={.services[*].nothing}", "\n"},
		{"get revision 1 -o jsonpath={.config.services[*].vip}", "192.0.2.1:80 [2001:db8::1]:53\n"},
	} {
		if diff := cmp.Diff(c.want, w.OK(strings.Fields(c.line)...)); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
	if wide := w.OK("get", "services", "-o", "wide"); !strings.Contains(wide, "ACTIVE  SEED  IDLE") || !strings.Contains(wide, "10m ") {
		t.Errorf("wide:\n%s", wide)
	}
	if yaml, json := w.OK("get", "services", "-o", "yaml"), w.OK("get", "services", "-o", "json"); !strings.HasPrefix(yaml, "services:\n- name: web\n  vip: 192.0.2.1:80\n") || strings.Count(yaml, "address:") != strings.Count(json, `"address":`) {
		t.Errorf("as YAML:\n%s", yaml)
	}
}

// TestStreamed: JSON that is printed as it comes from the daemon is that of the values, with a list wherever there could be one.
func TestStreamed(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig+`  - {name: none, vip: 192.0.2.8:80, replicas: []}
  - {name: pooled, vip: 192.0.2.9:80, mode: ipip, end_port: 90, pool: shared, source_ranges: [198.51.100.0/24], health: {type: http, path: "/a<b>&\"{"}}
pools: [{name: shared, replicas: [{address: 10.7.0.1}]}, {name: unused, replicas: []}]
`))
	w.OK("drain", "web", "10.0.0.1:8080", "--note", `"because" \ <of> {`)
	check := func() {
		t.Helper()
		for kind, v := range map[string]any{"services": &api.Services{}, "replicas": &api.Traffic{}} {
			text := w.OK("get", kind, "-o", "json")
			d := json.NewDecoder(strings.NewReader(text))
			d.DisallowUnknownFields()
			var want bytes.Buffer
			if err := errors.Join(d.Decode(v), cli.Indented(&want, v)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.String(), text); diff != "" {
				t.Errorf("lbctl get %s -o json (-want +got):\n%s", kind, diff)
			}
		}
	}
	check()
	if text := w.OK("get", "replicas", "-o", "json"); !strings.Contains(text, `\"because\" \\ <of> {`) {
		t.Errorf("replicas: %s", text)
	}
	w.OK("apply", "-f", w.Write("none.yaml", "services: []\n"))
	check()
	if code, stdout, stderr := w.Run("get", "services", "-o", "json", "--socket", w.Path("none")); code != cli.ExitUnreachable || stdout != "" || stderr == "" {
		t.Errorf("without a daemon: exit %d, %q, %q", code, stdout, stderr)
	}
}

// TestWatch: after what there is come the rows that have changed, the new ones, and the names of those that are gone.
func TestWatch(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for _, c := range []struct{ line, want string }{
		{"get services --watch", "NAME  VIP               PROTOCOL  MODE  SCHEDULER  HASH      TRACKING  SLOTS  REPLICAS\n" +
			"web   192.0.2.1:80      tcp       nat   modulo     jhash     changes   2      2\n" +
			"dns   [2001:db8::1]:53  udp       nat   maglev     toeplitz  always    251    1\n" +
			"web   192.0.2.1:80      tcp       nat   modulo     jhash     changes   3      3\n" +
			"service/dns is gone\n"},
		{"get services -w -o name", "service/web\nservice/dns\n"},
		{"get config -w -o jsonpath={.services[*].replicas[*].address}", "10.0.0.1:8080 10.0.0.2:8080 [2001:db8:1::1]:53\n" +
			"10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080 [2001:db8:1::1]:53\n10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080\n"},
	} {
		w.OK("apply", "-f", w.Path("web.yaml"))
		ctx, cancel := context.WithCancel(t.Context())
		env := w.Environment(ctx, strings.Fields(c.line)...)
		looks := 0
		env.Clock = cli.Clock{Timer: func(d time.Duration) <-chan time.Time {
			if d != time.Second {
				t.Errorf("it looks every %v", d)
			}
			switch looks++; looks {
			case 2:
				w.OK("replica", "add", "web", "10.0.0.3:8080")
			case 3:
				w.OK("apply", "-f", w.Write("one.yaml", strings.TrimSpace(strings.Split(w.OK("get", "config"), "- name: dns")[0])+"\n"))
			case 4:
				cancel()
				return nil
			}
			now := make(chan time.Time, 1)
			now <- time.Time{}
			return now
		}}
		var out, errs bytes.Buffer
		env.Stdout, env.Stderr = &out, &errs
		if code := w.RunIn(env); code != cli.ExitDone || errs.Len() > 0 {
			t.Errorf("lbctl %s: exit %d, %s", c.line, code, &errs)
		}
		if diff := cmp.Diff(c.want, out.String()); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
}

// TestLimits: the wide table says what keeps packets from a service.
func TestLimits(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("limits.yaml", `services:
  - {name: all, vip: 192.0.2.1:80, replicas: [{address: 10.0.0.1:80}]}
  - {name: some, vip: 192.0.2.2:80, source_ranges: [198.51.100.0/24, 203.0.113.0/24], replicas: [{address: 10.0.0.1:81}]}
  - {name: few, vip: 192.0.2.3:80, rate_limit: {packets_per_second: 500000, new_flows_per_second: 2000}, replicas: [{address: 10.0.0.1:82}]}
  - {name: both, vip: 192.0.2.4:80, source_ranges: [198.51.100.0/24], rate_limit: {new_flows_per_second: 7}, replicas: [{address: 10.0.0.1:83}]}
`))
	rows := strings.Split(strings.TrimSpace(w.OK("get", "services", "-o", "wide", "--no-headers")), "\n")
	for i, want := range []string{"  -", "  2 ranges", "  500000 packets/s, 2000 flows/s", "  1 range, 7 flows/s"} {
		if len(rows) != 4 || !strings.HasSuffix(rows[i], want) {
			t.Errorf("row %d of %q: want %q at its end", i, rows, want)
		}
	}
}
