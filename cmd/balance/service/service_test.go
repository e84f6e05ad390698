package service_test

import (
	"slices"
	"strings"
	"sync"
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
		{"service set web --scheduler maglev", "scheduler: modulo > maglev", "changed web\n", "table_size: 1009"},
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

// TestPoolSession: services that share a pool are added, moved to it and away, and the pool is deleted when nobody uses it. Each command
// is one change of one thing, as the history says.
func TestPoolSession(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", "pools: [{name: backends, replicas: [{address: 10.0.0.7}, {address: 10.0.0.8}]}, {name: spare, replicas: []}]\n"+clitest.WebConfig))
	for _, c := range []struct{ line, want string }{
		{"service add tls --vip 192.0.2.1:443 --pool backends", "added tls\n"},
		{"service set web --pool backends", "changed web\n"},
		{"get pools", "NAME      REPLICAS  SERVICES\nbackends  2         2\nspare     0         0\n"},
		{"get pool backends -o wide", "NAME      REPLICAS  SERVICES  USED BY\nbackends  2         2         web,tls\n"},
		{"get pools -o name", "pool/backends\npool/spare\n"},
		{"get replicas web --no-headers -o jsonpath={.replicas[*].address}", "10.0.0.7:80 10.0.0.8:80\n"},
		{"down web 10.0.0.8:80", "set by hand: web 10.0.0.8:80 down (file: active)\n"},
		{"get replicas tls -o jsonpath={.replicas[*].state}", "active active\n"},
		{"service remove tls", "removed tls\n"},
		{"delete pool spare --dry-run", "nothing to do in the datapath (revision 5)\npools[spare]: replicas: 0 > none\n"},
		{"delete pool/spare", "removed spare\n"},
		{"get revisions --no-headers -o jsonpath={.revisions[*].reason}", "delete pool spare delete service tls set by hand replica 10.0.0.8:80 of service web put service web put service tls start with DIR/web.yaml\n"},
	} {
		if got := w.OK(strings.Fields(c.line)...); got != c.want {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, cmp.Diff(c.want, got))
		}
	}
	w.Refused("delete pool backends", cli.ExitConflict, "pool backends: conflict: used by web", "give these services other replicas, or remove them, first")
	w.Refused("delete pool spare", cli.ExitNotFound, `pool "spare": not found`, "list what there is: lbctl get pools")
	w.Refused("service set web --pool bakends", cli.ExitUsage, `pool: "bakends": there is no such pool`, "want one of backends")
	w.Refused("service add n --vip 192.0.2.9:80 --pool backends --replica 10.0.0.1:80", cli.ExitUsage, `--pool: "backends" beside replicas`, "want one of the two: replicas of its own, or pool: NAME")
	w.Refused("replica add web 10.0.0.9:80", cli.ExitConflict, "the replicas of service web: conflict: they are those of pool backends",
		"change the pool, for all services that use it (lbctl edit, or PUT /v1/pools/backends), or set the replica of this service by hand (lbctl drain, down, weight)")
	for line, want := range map[string]string{"delete pool ": "backends\n", "service set web --pool ": "backends\n", "get pools ": "backends\n"} {
		if _, got, _ := w.Run(append([]string{"__complete"}, strings.Split(line, " ")...)...); !strings.HasPrefix(got, want) {
			t.Errorf("lbctl %s<TAB>: %q", line, got)
		}
	}
}

// TestServiceAtOnce: of commands on one service at the same time each does what it does alone, and none what another has done before.
func TestServiceAtOnce(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	lines := []string{"service set web --seed 7", "service set web --idle 30m", "service set web --tracking always", "service set dns --seed 0 --hash jhash",
		"ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.3:80 -m", "ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.4:80 -m", "ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.1:8080", "service add n --vip 192.0.2.9:80",
		"replica add web 10.0.0.5:80", "ipvsadm -A -t 192.0.2.8:80 -s mh"}
	var all sync.WaitGroup
	for _, line := range lines {
		all.Go(func() {
			if code, _, err := w.Run(strings.Fields(line)...); code != cli.ExitDone {
				t.Errorf("lbctl %s: exit %d, %s", line, code, err)
			}
		})
	}
	all.Wait()
	web := "192.0.2.1:80 7 30m always jhash 10.0.0.2:8080 10.0.0.3:80 10.0.0.4:80 10.0.0.5:80"
	got := w.OK("get", "service", "web", "-o", "jsonpath={range .services[0]}{.vip} {.seed} {.idle} {.tracking} {.hash} {.replicas[*].address}{end}")
	words := strings.Fields(got)
	slices.Sort(words[5:])
	if got := strings.Join(words, " "); got != web {
		t.Errorf("web is %s, want %s", got, web)
	}
	if names := strings.Fields(w.OK("get", "services", "-o", "jsonpath={.services[*].name}")); len(names) != 4 {
		t.Errorf("services %v", names)
	}
	reasons := w.OK("get", "revisions", "-o", "json")
	if strings.Contains(reasons, "put config") || strings.Count(reasons, `"put service web"`) != 6 {
		t.Errorf("the history: %s", reasons)
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
		{"delete servce web", cli.ExitUsage, `kind "servce" is not known: want service, pool or interface`, "did you mean service?"},
		{"delete service", cli.ExitUsage, "missing NAME", "see lbctl delete --help"},
		{"delete interface eth7", cli.ExitNotFound, `interface "eth7": not found`, "did you mean eth0?"},
	} {
		w.Refused(c.line, c.code, c.what, c.hint)
	}
	for line, want := range map[string]string{"service set ": "web\ndns\n", "delete ": "service\npool\ninterface\n", "delete interface ": "eth0\n", "service add n --mode ": "nat\ndsr\nipip\n"} {
		if _, out, _ := w.Run(append(append([]string{"__complete"}, strings.Fields(line)...), "")...); !strings.HasPrefix(out, want) {
			t.Errorf("lbctl %s<TAB>: %q", line, out)
		}
	}
}
