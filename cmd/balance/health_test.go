package balance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/testbed/xdp"
)

// TestHealth: a replica whose process ends gets nothing any more, a service without a healthy one is served by all, and what
// comes back is served again. A replica of mode dsr that has not the VIP is found out, though it answers at its own address.
func TestHealth(t *testing.T) {
	b := newModesBed(t, 1500)
	at := [2]netip.AddrPort{netip.MustParseAddrPort("10.1.0.1:7"), netip.MustParseAddrPort("10.2.0.1:7")}
	for _, n := range b.replicas {
		link, err := n.Link("eth0")
		must(t, err)
		receiving, err := xdp.Receive(link)
		must(t, err)
		defer receiving.Close()
	}
	ends := [2]func(){b.process(0, at[0]), b.process(1, at[1])}
	b.daemon(`interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]
services:
  - {name: web, vip: "192.0.2.1:7", health: {type: tcp, interval: 500ms, timeout: 500ms, rise: 1, fall: 2}, replicas: [{address: "10.1.0.1:7"}, {address: "10.2.0.1:7"}]}
  - {name: direct, vip: "192.0.2.4:7", mode: dsr, health: {type: tcp, interval: 500ms, timeout: 200ms, fall: 2}, replicas: [{address: "10.1.0.1:7"}]}
`)
	b.wantHealth("web", "healthy", "healthy")
	b.wantHealth("direct", "unhealthy")
	client := aMode{vip: netip.MustParseAddr("192.0.2.1")}
	serves := func(first int, want ...int) {
		t.Helper()
		for port := first; port < first+16; port++ {
			if n, err := b.exchangeTCP(client, port, []byte("hello")); err != nil || n != want[0] && n != want[len(want)-1] {
				t.Errorf("client port %d: replica %d, %v; want one of %v", port, n, err, want)
			}
		}
	}
	serves(41000, 0, 1)
	ends[1]()
	b.wantHealth("web", "healthy", "unhealthy")
	serves(42000, 0)
	code, out, _ := b.Run("status", "--over", "1ms")
	if want := "web      192.0.2.1:7  tcp       nat   1 of 2  1 unhealthy\n"; code != cli.ExitFailed || !strings.Contains(out, want) ||
		!strings.Contains(out, "replica 10.2.0.1:7 of web is unhealthy since ") || !strings.Contains(out, ": connect: connection refused\n") {
		t.Errorf("status: exit %d\n%s want\n%s", code, out, want)
	}
	if config := b.OK("get", "config"); strings.Contains(config, "state: down") {
		t.Errorf("the intent has the health:\n%s", config)
	}
	ends[0]()
	b.wantHealth("web", "unhealthy", "unhealthy")
	if err := b.askFromClient("tcp", "192.0.2.1:7"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without a healthy replica: %v, want that one of them refuses", err)
	}
	defer b.process(1, at[1])()
	b.wantHealth("web", "unhealthy", "healthy")
	serves(43000, 1)
	page := b.scrape()
	for _, want := range []string{`lbctl_replica_healthy{replica="10.1.0.1:7",service="web"} 0`, `lbctl_replica_healthy{replica="10.2.0.1:7",service="web"} 1`,
		`lbctl_health_check_duration_seconds_count{type="tcp"}`, "lbctl_health_check_lag_seconds_count"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s on the page of metrics", want)
		}
	}
}

// TestPassive: a replica whose process ends while its host lives gets nothing any more once clients' connections have been
// refused, though nothing asks it; it is tried again and ejected again while it refuses, and is back when it serves. Of a service that does not look at what
// passes, clients are refused all the time.
func TestPassive(t *testing.T) {
	b := newModesBed(t, 1500)
	for n := range b.replicas {
		defer b.process(n, netip.MustParseAddrPort(fmt.Sprintf("10.%d.0.1:7", n+1)))()
		link, err := b.replicas[n].Link("eth0")
		must(t, err)
		receiving, err := xdp.Receive(link)
		must(t, err)
		defer receiving.Close()
	}
	at := netip.MustParseAddrPort("10.2.0.1:8")
	ends := b.process(1, at)
	defer b.process(0, netip.MustParseAddrPort("10.1.0.1:8"))()
	b.daemon(`interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]
services:
  - {name: web, vip: "192.0.2.1:8", health: {type: passive, passive: {new_flows: 5, ejection: 5s}}, replicas: [{address: "10.1.0.1:8"}, {address: "10.2.0.1:8"}]}
  - {name: blind, vip: "192.0.2.2:9", health: {type: tcp, interval: 1h, port: 7}, replicas: [{address: "10.1.0.1:9"}, {address: "10.2.0.1:9"}]}
`)
	defer b.process(0, netip.MustParseAddrPort("10.1.0.1:9"))() // nobody listens at the other's
	b.wantHealth("web", "healthy", "healthy")
	b.wantHealth("blind", "healthy", "healthy")
	if n := b.refused("192.0.2.1:8"); n != 0 {
		t.Fatalf("%d connections are refused in the beginning", n)
	}
	out := func() bool { return strings.Contains(b.OK("get", "replicas", "web"), "unhealthy") }
	ends()
	if n := b.refused("192.0.2.1:8"); n == 0 {
		t.Error("none is refused without the process")
	}
	b.until("it refuses, and is not ejected", func() bool { b.refused("192.0.2.1:8"); return out() })
	b.wantHealth("web", "healthy", "unhealthy")
	if n := b.refused("192.0.2.1:8"); n != 0 && out() {
		t.Errorf("%d connections are refused though the replica is ejected", n)
	}
	if n := b.refused("192.0.2.2:9"); n == 0 {
		t.Error("none is refused by a service that does not look at what passes")
	}
	b.wantHealth("blind", "healthy", "healthy")
	events := b.OK("events")
	if want := "refusals of "; !strings.Contains(events, want) || !strings.Contains(b.scrape(), `lbctl_health_ejections_total{outcome="ejected",service="web"} 1`) {
		t.Errorf("no %q in\n%s or no ejection in the metrics", want, events)
	}
	b.until("it is not tried again", func() bool { return !out() })
	b.until("it refuses again, and is not ejected", func() bool { b.refused("192.0.2.1:8"); return out() })
	defer b.process(1, at)()
	b.until("it serves, and is not back", func() bool { return !out() })
	if n := b.refused("192.0.2.1:8"); n != 0 || out() {
		t.Errorf("%d connections are refused, or it is ejected, though it serves again", n)
	}
	var v api.Traffic
	must(t, json.Unmarshal([]byte(b.OK("get", "replicas", "web", "-o", "json")), &v))
	if n := v.Replicas[1].NewFlows; n < 20 {
		t.Errorf("%d flows have begun with the replica, want those before and after", n)
	}
}

// refused opens 40 connections and returns how many are refused.
func (b *modesBed) refused(vip string) (n int) {
	b.T.Helper()
	for range 40 {
		if err := b.askFromClient("tcp", vip); errors.Is(err, syscall.ECONNREFUSED) {
			n++
		} else if err != nil {
			b.T.Fatal(err)
		}
	}
	return n
}

// until waits until something is so, and fails with what it is else.
func (b *modesBed) until(what string, is func() bool) {
	b.T.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(deadline) {
			b.T.Fatal(what)
		}
	}
}

// process is a server of a replica that says which it is; its end closes all it has.
func (b *modesBed) process(n int, at netip.AddrPort) (end func()) {
	l := b.listenTCP(n, at)
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ended.Go(func() {
				defer c.Close()
				io.WriteString(c, served(n, c.RemoteAddr()))
				io.Copy(c, c)
			})
		}
	})
	return func() { l.Close(); ended.Wait() }
}

// wantHealth waits until the replicas of a service are known to be so; their state stays what the operator gave them.
func (b *modesBed) wantHealth(service string, want ...string) {
	b.T.Helper()
	var got string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var v api.Traffic
		must(b.T, json.Unmarshal([]byte(b.OK("get", "replicas", service, "-o", "json")), &v))
		var all []string
		for _, r := range v.Replicas {
			all = append(all, r.Health.Status)
			if r.State != "active" || r.Health.Since.IsZero() || (r.Health.Reason == "") != (r.Health.Status == "healthy") {
				b.T.Fatalf("%s is %s, %+v", r.Address, r.State, r.Health)
			}
		}
		if got = strings.Join(all, " "); got == strings.Join(want, " ") {
			return
		}
	}
	b.T.Fatalf("replicas of %s: %s, want %s", service, got, want)
}

// scrape returns the page of metrics.
func (b *modesBed) scrape() string {
	b.T.Helper()
	c, err := net.Dial("unix", b.Path("s"))
	must(b.T, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET /metrics HTTP/1.0\r\n\r\n")
	must(b.T, err)
	text, err := io.ReadAll(c)
	must(b.T, err)
	return string(text)
}
