package balance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli/clitest"
	"lbctl/lb/oracle"
)

const tunnelled = clitest.WebConfig + `  - name: tunnel
    vip: 192.0.2.3:80
    mode: ipip
    replicas: [{address: 10.0.0.5:80}]
`

// routedWorld has a daemon whose packets find a way out.
func routedWorld(t *testing.T) *clitest.World {
	t.Helper()
	w := newWorld(t)
	w.Memory = oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}, Routes: clitest.Everywhere{}})
	w.Serve("-f", w.Write("web.yaml", tunnelled))
	return w
}

// explanations are commands in order, and what they print.
var explanations = []struct{ line, want string }{
	{"explain --src 198.51.100.7:40000 --dst 192.0.2.1:80", `flow       tcp 198.51.100.7:40000 > 192.0.2.1:80
reason     forwarded
action     sent on
service    web (nat, modulo, jhash, 2 replicas)
hash       0x4c776042
slot       0 (owner 10.0.0.1:8080)
replica    10.0.0.1:8080 (owner of the slot)
rewritten  tcp 198.51.100.7:40000 > 10.0.0.1:8080
fields     eth.dst      00:00:00:00:00:00 > 02:00:00:00:00:09
           eth.src      00:00:00:00:00:00 > 02:00:00:00:00:03
           ip.ttl       64 > 63
           ip.checksum  0x8e94 > 0x4795
           ip.dst       192.0.2.1 > 10.0.0.1
           tcp.dport    80 > 8080
           tcp.checksum 0x2708 > 0xbfc8
next hop   eth1, from 02:00:00:00:00:03 to 02:00:00:00:00:09
`},
	{"explain --src 198.51.100.7:40000 --dst 192.0.2.3:80 --flags syn", `flow       tcp 198.51.100.7:40000 > 192.0.2.3:80
reason     forwarded
action     sent on
service    tunnel (ipip, modulo, jhash, 1 replica)
hash       0x1edf1a2d
slot       0 (owner 10.0.0.5:80)
replica    10.0.0.5:80 (owner of the slot)
rewritten  tcp 198.51.100.7:40000 > 192.0.2.3:80
tunnel     10.0.0.254 > 10.0.0.5
fields     eth.dst        00:00:00:00:00:00 > 02:00:00:00:00:09
           eth.src        00:00:00:00:00:00 > 02:00:00:00:00:03
           outer.version  none > 4
           outer.tos      none > 0x00
           outer.length   none > 60
           outer.id       none > 0x0000
           outer.fragment none > df 0
           outer.ttl      none > 64
           outer.protocol none > protocol-4
           outer.checksum none > 0x25bc
           outer.src      none > 10.0.0.254
           outer.dst      none > 10.0.0.5
           ip.ttl         64 > 63
           ip.checksum    0x8e92 > 0x8f92
next hop   eth1, from 02:00:00:00:00:03 to 02:00:00:00:00:09
`},
	{"replica set web 10.0.0.1:8080 --state draining", "10.0.0.1:8080 changed in web\n"},
	{"explain --src 198.51.100.7:40000 --dst 192.0.2.1:80", `flow       tcp 198.51.100.7:40000 > 192.0.2.1:80
reason     forwarded
action     sent on
service    web (nat, modulo, jhash, 2 replicas)
hash       0x4c776042
slot       0, in transition (owner 10.0.0.2:8080, previous owner 10.0.0.1:8080)
replica    10.0.0.1:8080 (previous owner of the slot, and the flow is from before the change)
rewritten  tcp 198.51.100.7:40000 > 10.0.0.1:8080
fields     eth.dst      00:00:00:00:00:00 > 02:00:00:00:00:09
           eth.src      00:00:00:00:00:00 > 02:00:00:00:00:03
           ip.ttl       64 > 63
           ip.checksum  0x8e94 > 0x4795
           ip.dst       192.0.2.1 > 10.0.0.1
           tcp.dport    80 > 8080
           tcp.checksum 0x2708 > 0xbfc8
next hop   eth1, from 02:00:00:00:00:03 to 02:00:00:00:00:09
`},
}

// TestExplainOutput: what explain prints of a packet, step by step.
func TestExplainOutput(t *testing.T) {
	w := routedWorld(t)
	for _, c := range explanations {
		got := w.OK(strings.Fields(c.line)...)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
}
