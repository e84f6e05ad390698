package get_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// TestGetByName: a name selects, also in JSON, and every kind treats one that is not known alike.
func TestGetByName(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for _, c := range []struct{ line, want, misspelt, stderr string }{
		{"get services", "NAME  VIP           PROTOCOL  MODE  SCHEDULER  HASH   TRACKING  SLOTS  REPLICAS\n" +
			"web   192.0.2.1:80  tcp       nat   modulo     jhash  changes   2      2\n", "wbe",
			"lbctl: service \"wbe\": not found\n  did you mean web?\n"},
		{"get replicas", "SERVICE  REPLICA        STATE   HEALTH  WEIGHT  PACKETS  BYTES  PACKETS/S  BY HAND  REASON\n" +
			"web      10.0.0.1:8080  active  -       1       0        0      -          -        -\nweb      10.0.0.2:8080  active  -       1       0        0      -          -        -\n", "nothing",
			"lbctl: service \"nothing\": not found\n  list what there is: lbctl get services\n"},
		{"get flows", "", "dsn", "lbctl: service \"dsn\": not found\n  did you mean dns?\n"},
		{"get interfaces", "NAME  STATE     INDEX  MODE    REQUESTED  REASON\neth0  attached  2      native  auto       -\n", "eth1",
			"lbctl: interface \"eth1\": not found\n  did you mean eth0?\n"},
		{"get counters", "REASON      PACKETS  BYTES\nno_replica  0        0\nall         0        0\n", "no_replicas",
			"lbctl: reason \"no_replicas\": not found\n  did you mean no_replica?\n"},
	} {
		name := map[string]string{"get interfaces": "eth0", "get counters": "no_replica"}[c.line]
		if name == "" {
			name = "web"
		}
		words := strings.Fields(c.line)
		if got := w.OK(append(words, name)...); c.want != "" && got != c.want {
			t.Errorf("lbctl %s %s (-want +got):\n%s", c.line, name, cmp.Diff(c.want, got))
		}
		all, one := w.OK(append(words, "-o", "json")...), w.OK(append(words, name, "-o", "json")...)
		if only := name == "eth0"; len(one) >= len(all) && !only || !strings.Contains(one, name) {
			t.Errorf("lbctl %s %s -o json: %s", c.line, name, one)
		}
		if code, stdout, stderr := w.Run(append(words, c.misspelt)...); code != cli.ExitNotFound || stdout != "" || stderr != c.stderr {
			t.Errorf("lbctl %s %s: exit %d, stdout %q, stderr\n%s want\n%s", c.line, c.misspelt, code, stdout, stderr, c.stderr)
		}
	}
}

// TestGetConfig: what is in effect, saved and applied, changes nothing; after other changes it brings everything back.
func TestGetConfig(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", strings.Replace(clitest.WebConfig, "10.0.0.2:8080}", "10.0.0.2:8080, state: draining, drain_until: 2100-01-01T00:00:00Z}", 1)+`  - {name: slow, vip: 192.0.2.7:80, idle: 1h, tracking: always, seed: 7, replicas: []}
`))
	w.OK("down", "web", "10.0.0.1:8080") // which is no part of it
	for _, format := range []string{"yaml", "json"} {
		saved := w.OK("get", "config", "-o", format)
		w.Write("saved", saved)
		if got := w.OK("apply", "-f", w.Path("saved")); !strings.HasPrefix(got, "nothing to do (revision ") {
			t.Fatalf("apply of what is in effect: %s", got)
		}
		w.OK("apply", "-f", w.Write("less.yaml", "interfaces: []\nservices: []\n"))
		if none := w.OK("get", "config"); !strings.Contains(none, "interfaces: []\n") || !strings.Contains(none, "services: []\n") {
			t.Errorf("without interfaces and services: %s", none)
		}
		w.OK("apply", "-f", w.Path("saved"))
		if diff := cmp.Diff(saved, w.OK("get", "config", "-o", format)); diff != "" {
			t.Errorf("saved, changed and applied (-want +got):\n%s", diff)
		}
	}
	if !strings.Contains(w.OK("get", "config"), "drain_until: ") {
		t.Error("no deadline in the configuration")
	}
}
