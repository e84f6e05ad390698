package balance

import (
	"encoding/json"
	"errors"
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
