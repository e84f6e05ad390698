package service_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// TestService is a session: a service is added, changed, and removed, each first as a dry run, which changes nothing.
func TestService(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for _, c := range []struct{ line, dry, want, config string }{
		{"service add new --vip 192.0.2.9:80 --scheduler maglev --table-size 251 --replica 10.0.0.7:80 --replica 10.0.0.8:80,weight=2,state=down",
			"1  set  tcp 192.0.2.9:80  new  nat, maglev, jhash, 2 replicas\n", "added new\n", "vip: 192.0.2.9:80"},
		{"service set new --scheduler modulo --replica-none", "", "", ""},
		{"service set new --idle 30m --tracking always", "1  set  tcp 192.0.2.9:80  changed", "changed new\n", "idle: 30m"},
		{"service set dns --scheduler modulo", "", "", ""},
		{"service set web --scheduler maglev", "scheduler: modulo > maglev", "changed web\n", "table_size: 65537"},
		{"service set web --scheduler modulo", "scheduler: maglev > modulo", "changed web\n", "scheduler: modulo"},
		{"service set web --vip 192.0.2.1:8080", "192.0.2.1:8080  new", "changed web\n", "vip: 192.0.2.1:8080"},
		{"service set web --mode ipip --encapsulation gue --tunnel-port 6081", "mode: nat > ipip", "changed web\n", "tunnel_port: 6081"},
		{"service set web --mode nat", "mode: ipip > nat", "changed web\n", "mode: nat"},
		{"service remove new", "remove  tcp 192.0.2.9:80", "removed new\n", ""},
		{"delete service/web", "remove  tcp 192.0.2.1:8080", "removed web\n", ""},
		{"delete interface eth0", "detach  eth0", "detached eth0\n", "interfaces: []"},
	} {
		if c.want == "" {
			if code, _, err := w.Run(strings.Fields(c.line)...); code != cli.ExitUsage {
				t.Errorf("lbctl %s: exit %d: %s", c.line, code, err)
			}
			continue
		}
		before := w.OK("get", "config")
		if dry := w.OK(append(strings.Fields(c.line), "--dry-run")...); !strings.Contains(dry, c.dry) {
			t.Errorf("lbctl %s --dry-run:\n%s", c.line, dry)
		}
		if diff := cmp.Diff(before, w.OK("get", "config")); diff != "" {
			t.Errorf("lbctl %s --dry-run changed\n%s", c.line, diff)
		}
		if got := w.OK(strings.Fields(c.line)...); got != c.want {
			t.Errorf("lbctl %s: %s", c.line, got)
		}
		if now := w.OK("get", "config"); !strings.Contains(now, c.config) || now == before {
			t.Errorf("after lbctl %s:\n%s", c.line, now)
		}
	}
}

func TestServiceRefused(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"service add web --vip 192.0.2.9:80", cli.ExitConflict, "add service web: conflict: it is there already", "change it: lbctl service set web"},
		{"service add new", cli.ExitUsage, "--vip: missing", `want an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"; is the file complete?`},
		{"service add new --vip 192.0.2.9:80 --replica 10.0.0.1:80,wieght=2", cli.ExitUsage, `--replica 10.0.0.1:80,wieght=2: "wieght" is not known: want weight=N or state=WORD`, "see lbctl service add --help"},
		{"service add new --vip 192.0.2.9:80 --replica 10.0.0.1:80,weight=2x", cli.ExitUsage, `--replica 10.0.0.1:80,weight=2x: weight "2x" is not a number`, "see lbctl service add --help"},
		{"service set web", cli.ExitUsage, "nothing to set: want a flag of a field, as --mode", "see lbctl service set --help"},
		{"service set wbe --mode nat", cli.ExitNotFound, `service "wbe": not found`, "did you mean web?"},
		{"service set web --seed -1", cli.ExitUsage, "--seed: -1 is out of range: want 0 to 4294967295", "see lbctl service set --help"},
		{"delete servce web", cli.ExitUsage, `kind "servce" is not known: want service or interface`, "did you mean service?"},
		{"delete service", cli.ExitUsage, "missing NAME", "see lbctl delete --help"},
		{"delete interface eth7", cli.ExitNotFound, `interface "eth7": not found`, "list what there is: lbctl get interfaces"},
	} {
		w.Refused(c.line, c.code, c.what, c.hint)
	}
	for line, want := range map[string]string{"service set ": "web\ndns\n", "delete ": "service\ninterface\n", "delete interface ": "eth0\n", "service add n --mode ": "nat\ndsr\nipip\n"} {
		if _, out, _ := w.Run(append(append([]string{"__complete"}, strings.Fields(line)...), "")...); !strings.HasPrefix(out, want) {
			t.Errorf("lbctl %s<TAB>: %q", line, out)
		}
	}
}
