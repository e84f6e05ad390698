package balance

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
)

// A replica that loses the VIP of a service gets no more traffic of that service, though it answers at its own address and
// serves other VIPs: in every mode in which replicas hold the VIP, by the real daemon. When the VIP is back, so is the traffic.
func TestReplicaLosesVIP(t *testing.T) {
	b := newModesBed(t, 1548)
	uplink, err := b.balancer.Link("eth0")
	must(t, err)
	route(t, uplink, "0.0.0.0/0", "198.51.100.1") // for IPv4 in IPv6
	for n := range b.replicas {
		vips := b.prepare(n)
		b.onReplica(n, "decap attach eth0 --mode native --pin-dir "+b.pins+"-decap --udp-port 6080,5555"+vips)
	}
	config := "interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]\nservices:\n"
	for _, m := range modesOfVIPs() {
		config += fmt.Sprintf("  - {name: %s, vip: %q, mode: %s, %shealth: {type: tcp, interval: 1s, timeout: 1s, rise: 1, fall: 2}, replicas: [", m.name, m.at(), m.mode, m.outer)
		for _, n := range []string{"1", "2"} {
			config += fmt.Sprintf("{address: %q}, ", strings.Replace(m.replica, "N", n, 1)+":7")
		}
		config += "]}\n"
	}
	b.daemon(config)
	b.awaitHealth("healthy", "healthy")
	for _, change := range []struct{ do, first string }{{"del", "unhealthy"}, {"add", "healthy"}} {
		for _, m := range modesOfVIPs() {
			b.ip(0, fmt.Sprintf("address %s %v dev lo", change.do, netip.PrefixFrom(m.vip, m.vip.BitLen())))
		}
		b.awaitHealth(change.first, "healthy")
		if change.do == "add" {
			return
		}
		for k, m := range modesOfVIPs() {
			for port := 50000 + 10*k; port < 50004+10*k; port++ {
				if n, err := b.exchangeTCP(m, port, []byte("balanced")); err != nil || n != 1 {
					t.Errorf("%s: by replica %d, %v, want the other", m.name, n+1, err)
				}
			}
		}
	}
}

// ip runs ip(8) on replica n.
func (b *modesBed) ip(n int, line string) {
	b.T.Helper()
	c := exec.CommandContext(b.T.Context(), "ip", strings.Fields(line)...)
	c.Stderr = b.T.Output()
	must(b.T, b.replicas[n].Start(c), c.Wait())
}

// awaitHealth waits until the first replicas of all services, and the second ones, have that health.
func (b *modesBed) awaitHealth(want ...string) {
	b.T.Helper()
	for end := time.Now().Add(time.Minute); ; {
		var all api.Traffic
		must(b.T, json.Unmarshal([]byte(b.OK("get", "replicas", "-o", "json")), &all))
		wrong := ""
		for i, r := range all.Replicas {
			if r.Health == nil || r.Health.Status != want[i%2] {
				wrong += fmt.Sprintf("%s %+v, ", r.Address, r.Health)
			}
		}
		if wrong == "" && len(all.Replicas) == 2*len(modesOfVIPs()) {
			return
		}
		if time.Now().After(end) {
			b.T.Fatalf("not %v in time: %s", want, wrong)
		}
	}
}
