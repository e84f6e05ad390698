package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// session are commands in order, and what they print.
var session = []struct{ line, want string }{
	{"get services", "NAME  VIP  PROTOCOL  MODE  SCHEDULER  HASH  TRACKING  SLOTS  REPLICAS\n"},
	{"plan -f DIR/web.yaml", `1  set     tcp 192.0.2.1:80      new  nat, modulo, jhash, 2 replicas
2  set     udp [2001:db8::1]:53  new  nat, maglev, toeplitz, 1 replica
3  attach  eth0                  new  auto
`},
	{"apply -f DIR/web.yaml --dry-run", `1  set     tcp 192.0.2.1:80      new  nat, modulo, jhash, 2 replicas
2  set     udp [2001:db8::1]:53  new  nat, maglev, toeplitz, 1 replica
3  attach  eth0                  new  auto
`},
	{"apply -f DIR/web.yaml", `1  set     tcp 192.0.2.1:80      new  nat, modulo, jhash, 2 replicas
2  set     udp [2001:db8::1]:53  new  nat, maglev, toeplitz, 1 replica
3  attach  eth0                  new  auto
`},
	{"apply -f DIR/web.yaml", "nothing to do (revision 2)\n"},
	{"plan -f DIR/web.yaml -o json", "{\n  \"revision\": 2,\n  \"steps\": []\n}\n"},
	{"get services", `NAME  VIP               PROTOCOL  MODE  SCHEDULER  HASH      TRACKING  SLOTS  REPLICAS
web   192.0.2.1:80      tcp       nat   modulo     jhash     changes   2      2
dns   [2001:db8::1]:53  udp       nat   maglev     toeplitz  always    251    1
`},
	{"get replicas", `SERVICE  REPLICA             STATE   HEALTH  WEIGHT  PACKETS  BYTES  PACKETS/S  BY HAND  REASON
web      10.0.0.1:8080       active  -       1       0        0      -          -        -
web      10.0.0.2:8080       active  -       1       0        0      -          -        -
dns      [2001:db8:1::1]:53  active  -       3       0        0      -          -        -
`},
	{"get replicas -o json", `{
  "replicas": [
    {
      "service_name": "web",
      "vip": "192.0.2.1:80",
      "protocol": "tcp",
      "address": "10.0.0.1:8080",
      "weight": 1,
      "state": "active",
      "packets": 0,
      "bytes": 0,
      "new_flows": 0,
      "resets": 0,
      "refusals": 0,
      "lately": {
        "is_known": false,
        "packets_per_second": 0
      }
    },
    {
      "service_name": "web",
      "vip": "192.0.2.1:80",
      "protocol": "tcp",
      "address": "10.0.0.2:8080",
      "weight": 1,
      "state": "active",
      "packets": 0,
      "bytes": 0,
      "new_flows": 0,
      "resets": 0,
      "refusals": 0,
      "lately": {
        "is_known": false,
        "packets_per_second": 0
      }
    },
    {
      "service_name": "dns",
      "vip": "[2001:db8::1]:53",
      "protocol": "udp",
      "address": "[2001:db8:1::1]:53",
      "weight": 3,
      "state": "active",
      "packets": 0,
      "bytes": 0,
      "new_flows": 0,
      "resets": 0,
      "refusals": 0,
      "lately": {
        "is_known": false,
        "packets_per_second": 0
      }
    }
  ]
}
`},
	{"attach eth1 --mode generic", "attached eth1 in mode generic\n"},
	{"get interfaces", `NAME  STATE     INDEX  MODE     REQUESTED  REASON
eth0  attached  2      native   auto       -
eth1  attached  3      generic  generic    -
`},
	{"attach eth1 --mode native -o json", `{
  "name": "eth1",
  "state": "attached",
  "ifindex": 3,
  "mode": "native",
  "requested_mode": "native"
}
`},
	{"attach eth1 --mode generic --dry-run", "1  detach  eth1  changed  -\n2  attach  eth1  changed  generic\ninterfaces[eth1].mode: native > generic\nnow: eth1 is attached in mode native\ndry run: nothing was changed\n"},
	{"attach eth0 --dry-run", "nothing to do (revision 4)\nnow: eth0 is attached in mode native\ndry run: nothing was changed\n"},
	{"detach eth0 --dry-run", "1  detach  eth0  gone  -\nnow: eth0 is attached in mode native\ndry run: nothing was changed\n"},
	{"detach eth0", "detached eth0\n"},
	{"get counters", "REASON  PACKETS  BYTES\nall     0        0\n"},
	{"explain --src 198.51.100.7:40000 --dst 192.0.2.9:80", `flow    tcp 198.51.100.7:40000 > 192.0.2.9:80
reason  not_ours
action  up to the kernel
`},
	{"plan -f DIR/less.yaml", `1  set     tcp 192.0.2.1:80  changed  nat, modulo, jhash, 1 replica
                                        table_size: 2 > 1
                                        replicas[10.0.0.2:8080]: active > none
                                        50.0 % of new flows go to another replica (1 of 2)
                                        0 recorded flows end with the replica, and those of which nothing is recorded
2  attach  eth0              new      auto
3  detach  eth1              gone     -
`},
	{"apply -f DIR/less.yaml", `1  set     tcp 192.0.2.1:80  changed  nat, modulo, jhash, 1 replica
2  attach  eth0              new      auto
3  detach  eth1              gone     -
`},
}

// TestCommands is a session with a daemon: commands in order and what they print.
func TestCommands(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("empty.yaml", "services: []\n"))
	w.Write("web.yaml", clitest.WebConfig)
	w.Write("less.yaml", strings.Replace(clitest.WebConfig, "      - {address: 10.0.0.2:8080}\n", "", 1))
	for _, c := range session {
		got := w.OK(w.Line(c.line)...)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
	if code := w.Stop(); code != cli.ExitDone {
		t.Errorf("serve ended with %d: %s", code, w.Log)
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	text := w.OK("explain", "--src", "198.51.100.7:40000", "--dst", "192.0.2.1:80", "--flags", "syn", "--queues", "4", "-o", "json")
	var e struct {
		Reason, Hash, Current string
		Slot                  *int
		Service               struct{ Name string }
		RSS                   struct {
			Hash  string
			Queue *int
		}
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	if e.Service.Name != "web" || e.Slot == nil || *e.Slot > 1 || e.RSS.Queue == nil || !strings.HasPrefix(e.Hash, "0x") {
		t.Errorf("explain: %s", text)
	}
	table := w.OK("explain", "--src", "198.51.100.7:40000", "--dst", "192.0.2.1:80", "--queues", "4")
	for _, want := range []string{"queue ", "(rss hash 0x", "service ", "web (nat, modulo, jhash, 2 replicas)", "slot "} {
		if !strings.Contains(table, want) {
			t.Errorf("explain lacks %q:\n%s", want, table)
		}
	}
}

// TestRSSHash prints the first vector of Microsoft's "Verifying the RSS Hash Calculation".
func TestRSSHash(t *testing.T) {
	w := newWorld(t)
	text := w.OK("rss", "hash", "--src", "66.9.149.187:2794", "--dst", "161.142.100.80:1766", "-o", "json")
	var got struct {
		Fields, Hash string
		Index, Queue int
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Hash != "0x51ccc178" || got.Index != 0x51ccc178%128 || got.Queue != got.Index%4 || got.Fields != "sdfn" {
		t.Errorf("got %+v", got)
	}
	want := "queue   0 of 8\nindex   24 of 32\nhash    0x51ccc178\nfields  sdfn\n"
	if got := w.OK("rss", "hash", "--src", "66.9.149.187:2794", "--dst", "161.142.100.80:1766", "--queues", "8", "--table", "32"); got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	a := &cli.App{Environment: newWorld(t).Environment(t.Context())}
	all := a.Root(commands(a)...).Commands()
	for len(all) > 0 {
		c := all[0]
		all = append(all[1:], c.Commands()...)
		if c.Hidden || c.Name() == "completion" || c.Parent().Name() == "completion" || c.Name() == "help" || c.Parent().Hidden {
			continue
		}
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
	}
}

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, commands) }

func newWorld(t *testing.T) *clitest.World {
	t.Helper()
	return clitest.New(t, commands)
}
