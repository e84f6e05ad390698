package get_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// recording is a service that records every flow.
const recording = `interfaces: [{name: eth0}]
services:
  - {name: web, vip: 192.0.2.1:80, tracking: always, replicas: [{address: 10.0.0.1:8080}]}
`

func routed(t *testing.T, config string) *clitest.World {
	t.Helper()
	w := clitest.New(t, balance.Commands)
	w.Memory = oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}, Routes: clitest.Everywhere{}})
	w.Serve("-f", w.Write("web.yaml", config))
	return w
}

// send has a packet of a client come in.
func send(w *clitest.World, client string, flags packet.TCPFlags) {
	w.Memory.Process(2, packet.Frame{Flags: flags, Flow: packet.Flow{
		Source: netip.MustParseAddrPort(client), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
	}}.Marshal())
}

// TestRecordedFlows: those of the client are listed, of a prefix's clients, too, page after page.
func TestRecordedFlows(t *testing.T) {
	w := routed(t, recording)
	for n, client := range []string{"198.51.100.7:40000", "198.51.100.7:65535", "198.51.100.7:1", "198.51.100.8:40000", "198.51.100.16:40000"} {
		send(w, client, packet.SYN)
		if n > 0 {
			send(w, client, packet.ACK)
		}
	}
	send(w, "198.51.100.8:40000", packet.FIN|packet.ACK)
	for _, c := range []struct{ line, want string }{
		{"get flows web --client 198.51.100.7", `CLIENT              REPLICA        RECORD       CLOSED BY  SILENT FOR
198.51.100.7:1      10.0.0.1:8080  established  -          0s
198.51.100.7:40000  10.0.0.1:8080  half-open    -          0s
198.51.100.7:65535  10.0.0.1:8080  established  -          0s
`},
		{"get flows web --client 198.51.100.0/28 -o name", "flow/198.51.100.7:1\nflow/198.51.100.7:40000\nflow/198.51.100.7:65535\nflow/198.51.100.8:40000\n"},
		{"get flows web --client 198.51.100.8 --no-headers", "198.51.100.8:40000  10.0.0.1:8080  established  client  0s\n"},
		{"get flows web --client 198.51.100.0/28 --limit 2", `CLIENT              REPLICA        RECORD       CLOSED BY  SILENT FOR
198.51.100.7:1      10.0.0.1:8080  established  -          0s
198.51.100.7:40000  10.0.0.1:8080  half-open    -          0s

there are more than 2: ask for more with --limit
`},
		{"get flows web --client 198.51.100.9 --no-headers", ""},
	} {
		if diff := cmp.Diff(c.want, w.OK(strings.Fields(c.line)...)); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
	w.Refused("get flows web --client 198.51.0.0/16", cli.ExitUsage, "query.client: 198.51.0.0/16 has too many addresses",
		"want at most 16, as of a /28 or /124: every port of each is tried, for records hold no addresses")
	w.Refused("get flows web --client 2001:db8::1", cli.ExitUsage, "query.client: 2001:db8::1 cannot be a client of 192.0.2.1:80", "want one of the family of its VIP")
	w.Refused("get flows web --client ::/0", cli.ExitUsage, "query.client: :: cannot be a client of 192.0.2.1:80", "want one of the family of its VIP")
	w.Refused("get flows web --client somebody", cli.ExitUsage, `query.client: "somebody" is not an address`, "want an address or a prefix: 198.51.100.7 or 198.51.100.0/28")
	w.Refused("get flows wbe --client 198.51.100.7", cli.ExitNotFound, `service "wbe": not found`, "list what there is: lbctl get services, lbctl get replicas, lbctl get interfaces")
	w.Refused("get flows --client 198.51.100.7", cli.ExitUsage, "--client without NAME: want the name of a service", "see lbctl get flows --help")
}

// TestPages: a page begins after the last flow of the one before, and none is missed or twice.
func TestPages(t *testing.T) {
	w := routed(t, recording)
	want := 0
	for host := range 3 {
		for port := 1000; port < 5000; port++ {
			send(w, fmt.Sprintf("198.51.100.%d:%d", host, port), packet.SYN)
			want++
		}
	}
	names := strings.Fields(w.OK("get", "flows", "web", "--client", "198.51.100.0/28", "--limit", "20000", "-o", "name"))
	had := map[string]bool{}
	for _, n := range names {
		had[n] = true
	}
	if len(names) != want || len(had) != want {
		t.Errorf("%d flows, %d different, want %d", len(names), len(had), want)
	}
}

// TestWideReplicas: rates, records and next hops; JSON has the next hops.
func TestWideReplicas(t *testing.T) {
	w := routed(t, recording)
	send(w, "198.51.100.7:40000", packet.SYN)
	for range 3 {
		send(w, "198.51.100.7:40000", packet.ACK)
	}
	now, ticks := clitest.Steps(func() { send(w, "198.51.100.7:40000", packet.ACK); send(w, "198.51.100.9:40000", packet.SYN) })
	w.Clock = cli.Clock{Time: now, Timer: ticks}
	want := `SERVICE  REPLICA        STATE   HEALTH  WEIGHT  PACKETS  BYTES  PACKETS/S  BY HAND  REASON  BYTES/S  NEW/S  RESETS/S  FLOWS  HALF-OPEN  NEXT HOP          MAC                NEIGHBOUR  MTU
web      10.0.0.1:8080  active  -       1       6        324    1          -        -       54       0      0         1      1          10.0.0.1 on eth1  02:00:00:00:00:09  reachable  1500
`
	if diff := cmp.Diff(want, w.OK("get", "replicas", "-o", "wide", "--over", "2s")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var traffic struct {
		Replicas []struct {
			NextHop struct {
				Interface, Neighbour string
				State                string `json:"neighbour_state"`
			} `json:"next_hop"`
		}
	}
	if err := json.Unmarshal([]byte(w.OK("get", "replicas", "-o", "json")), &traffic); err != nil || traffic.Replicas[0].NextHop.Neighbour != "10.0.0.1" || traffic.Replicas[0].NextHop.State != "reachable" {
		t.Errorf("as JSON: %+v, %v", traffic, err)
	}
	w.Refused("get replicas -o wide --over 1ms", cli.ExitUsage, "--over: 1ms is out of range: want 10ms to 1h", "see lbctl get replicas --help")
}

// TestGrowth: what was counted in a span of time, and by what a second.
func TestGrowth(t *testing.T) {
	w := routed(t, recording)
	send(w, "198.51.100.7:40000", packet.SYN)
	now, ticks := clitest.Steps(func() {
		send(w, "198.51.100.7:40000", packet.ACK)
		w.Memory.Process(2, packet.Frame{Flow: packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:1"),
			Destination: netip.MustParseAddrPort("192.0.2.1:81"), Protocol: packet.TCP}}.Marshal())
	})
	w.Clock = cli.Clock{Time: now, Timer: ticks}
	want := `REASON          PACKETS  BYTES  PACKETS/S  BYTES/S  DROPPED
forwarded       1        54     0.2        10.8     no
vip_no_service  1        54     0.2        10.8     yes
all             2        108    0.4        21.6     -

SERVICE  PACKETS  BYTES  PACKETS/S  BYTES/S
web      1        54     0.2        10.8

SERVICE  REPLICA        PACKETS  BYTES  PACKETS/S  BYTES/S
web      10.0.0.1:8080  1        54     0.2        10.8
`
	if diff := cmp.Diff(want, w.OK("get", "counters", "--since", "5s", "-o", "wide")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.Refused("get counters --since 1ms", cli.ExitUsage, "--since: 1ms is out of range: want 10ms to 24h", "see lbctl get counters --help")
	w.Refused("get counters forwarded --since 1s", cli.ExitUsage, "--since and forwarded: all that grew is printed, want no name", "see lbctl get counters --help")
}

// TestPorts: a service with several ports is shown with them, and its recorded flows are listed by the port that was asked.
func TestPorts(t *testing.T) {
	const several = `interfaces: [{name: eth0}]
services:
  - {name: web, vip: 192.0.2.1:79, end_port: 99, mode: dsr, tracking: always, replicas: [{address: 10.0.0.1:79}]}
`
	w := routed(t, several)
	send(w, "198.51.100.7:40000", packet.SYN) // to port 80
	for _, c := range []struct{ line, want string }{
		{"get services --no-headers", "web  192.0.2.1:79-99  tcp  dsr  modulo  jhash  always  1  1\n"},
		{"get services -o jsonpath={.services[0].end_port}", "99\n"},
		{"get config -o jsonpath={.services[0].end_port}", "99\n"},
		{"get counters -o jsonpath={.services[0].end_port},{.replicas[0].end_port}", "99,99\n"},
		{"get flows -o jsonpath={.services[0].end_port}", "99\n"},
		{"get replicas -o jsonpath={.replicas[0].end_port}", "99\n"},
		{"ipvsadm -Ln -t 192.0.2.1:79 --stats", "IP Virtual Server version 1.2.1 (size=1048576)\nProt LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n" +
			"  -> RemoteAddress:Port\nTCP  192.0.2.1:79-99                     1        1        -       54        -\n  -> 10.0.0.1:79                         1        1        -       54        -\n"},
		{"get flows web --client 198.51.100.7 --port 80 --no-headers", "198.51.100.7:40000  10.0.0.1:79  half-open  -  0s\n"},
		{"get flows web --client 198.51.100.7 --port 81 --no-headers", ""},
	} {
		code, got, stderr := w.Run(strings.Fields(c.line)...)
		if code != cli.ExitDone || got != c.want {
			t.Errorf("lbctl %s: exit %d, %q, want %q\n%s", c.line, code, got, c.want, stderr)
		}
	}
	if x := w.OK("explain", "--src", "198.51.100.9:1", "--dst", "192.0.2.1:80", "-o", "json"); !strings.Contains(x, `"end_port": 99`) {
		t.Errorf("explain: %s", x)
	}
	if status := w.OK("status"); !strings.Contains(status, "192.0.2.1:79-99") {
		t.Errorf("status: %s", status)
	}
	_, plan, _ := w.Run("plan", "-f", w.Write("fewer.yaml", strings.Replace(several, "99", "98", 1)))
	if !strings.Contains(plan, "tcp 192.0.2.1:79-98") || !strings.Contains(plan, "end_port: 99 > 98") {
		t.Errorf("plan: %s", plan)
	}
	if plan := w.OK("plan", "-f", w.Write("none.yaml", "services: []\n")); !strings.Contains(plan, "remove  tcp 192.0.2.1:79-99") {
		t.Errorf("plan: %s", plan)
	}
	if _, _, lost := w.Run("ipvsadm", "-S"); lost != "lbctl: no line says it: web has the ports to 99\nlbctl: no line says it: web has the scheduler modulo\n" {
		t.Errorf("ipvsadm -S: %s", lost)
	}
	w.Refused("get flows web --client 198.51.100.7", cli.ExitUsage, "query.port: missing", "want one of the ports 79-99: every port of a client is tried with it, for records hold no ports")
	w.Refused("get flows web --client 198.51.100.7 --port 100", cli.ExitUsage, "query.port: 100 is none of web", "want one of the ports 79-99")
	w.Refused("get flows web --port 80", cli.ExitUsage, "--port without --client", "see lbctl get flows --help")
}
