package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

const complete = `datapath:
  toeplitz_key: ms
  limits: {services: 8, replicas: 16, slots: 200000, flows: 65536}
  vip_no_service: reject
interfaces:
  - name: eth0
  - {name: eth1, mode: generic}
services:
  - name: web
    vip: 192.0.2.1:80
    replicas:
      - {address: 10.1.0.1:8080}
      - {address: 10.1.0.2:8080, weight: 1, state: draining, drain_until: 2030-01-31T13:00:00+01:00}
    tracking: always
    idle: 90s
  - name: web6
    vip: "[2001:db8::1]:80"
    protocol: udp
    scheduler: maglev
    hash: toeplitz
    table_size: 251
    replicas:
      - address: "[2001:db8:1::1]:53"
        weight: 30
        state: down
  - name: tunnel
    vip: 192.0.2.2:80
    end_port: 99
    mode: ipip
    encapsulation: gue
    tunnel_sources: 2001:db8:9::/64
    source_ranges: [203.0.113.0/24, 198.51.100.0/24, 198.51.100.7/32, "2001:db8::/32"]
    rate_limit: {packets_per_second: 500000, new_flows_per_second: 2000, burst: 100ms}
    tracking: never
    replicas:
      - {address: "[2001:db8:1::2]:80"}
`

func TestParseTakesACompleteFile(t *testing.T) {
	i, err := resolve(complete)
	if err != nil {
		t.Fatal(err)
	}
	again, err := wire.Resolve(wire.Config(i), intent.Default())
	if err != nil {
		t.Fatal(err)
	}
	if !again.Equal(i) {
		t.Errorf("wire form gives %+v, want %+v", again, i)
	}
	web6 := i.Services[1]
	if web6.Scheduler != lb.Maglev || web6.TableSize != 251 || web6.Replicas[0].Weight != 30 {
		t.Errorf("web6 = %+v", web6)
	}
	checkTracked(t, i)
	if got := i.Interfaces[1].Mode; got != lb.Generic {
		t.Errorf("mode of eth1 = %v", got)
	}
}

// checkTracked looks at what of complete is about the flows of replicas that change.
func checkTracked(t *testing.T, i intent.Intent) {
	t.Helper()
	web, web6, tunnel := i.Services[0], i.Services[1], i.Services[2]
	if web.Tracking != lb.TrackAlways || web.Idle != 90*time.Second || web.TableSize != 1 || web.Replicas[1].State != lb.Draining {
		t.Errorf("web = %+v", web)
	}
	noon := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	if got := web.Deadlines[web.Replicas[1].Address]; len(web.Deadlines) != 1 || got != noon {
		t.Errorf("deadlines %v, want %v", web.Deadlines, noon)
	}
	if web6.Tracking != lb.TrackAlways || web6.Idle != 2*time.Minute || web6.Replicas[0].State != lb.Down {
		t.Errorf("web6 = %+v", web6)
	}
	if tunnel.Mode != lb.IPIP || tunnel.Tracking != lb.Stateless || tunnel.Idle != 0 {
		t.Errorf("tunnel = %+v", tunnel)
	}
	if i.Datapath.Limits.Flows != 65536 {
		t.Errorf("limits = %+v", i.Datapath.Limits)
	}
}

// resolve parses and resolves a file named f.yaml.
func resolve(text string) (intent.Intent, error) {
	f, err := config.Parse("f.yaml", []byte(text))
	if err != nil {
		return intent.Intent{}, err
	}
	i, err := wire.Resolve(f.Config, intent.Default())
	return i, f.Locate(err)
}

// service is the start of a file with one service.
const service = "services:\n  - name: web\n    vip: 192.0.2.1:80\n"

const replicas = "    replicas: [{address: 10.1.0.1:80}, {address: 10.1.0.2:80}]\n"

// wrong are files and what is said about them. Every row is one change of a right file.
var wrong = []struct{ name, text, what, hint string }{
	{"empty", "", "f.yaml: is empty: half-written?", "services: []"},
	{"comments only", "# lbctl\n\n", "f.yaml: is empty: half-written?", "services: []"},
	{"zeros", "services: []\x00\x00\n", "f.yaml: holds bytes that are not text: half-written, or not YAML?", "UTF-8"},
	{"cut in a word", "services:\n  - name: we", "f.yaml: ends in the middle of a line: half-written?", "end its last line"},
	{"cut in braces", service + "    replicas:\n      - {address: 10.1.0.1:80\n", "f.yaml:5:9: could not find flow mapping end token '}'", "ends too early"},
	{"cut in quotes", "services:\n  - name: \"we\n", "f.yaml:2:11: could not find end character of double-quoted text", "ends too early"},
	{"cut after a key", "services:\n", "f.yaml:1:11: services: has no value", "is the file complete?"},
	{"cut after a hyphen", "services:\n  -\n", "f.yaml:2:5: services[0]: has no value", "is the file complete?"},
	{"cut after the name", "services:\n  - name: web\n", "f.yaml:2:5: services[0].vip: missing (and 1 more problem)", "is the file complete?"},
	{"cut before the replicas", service, "f.yaml:2:5: services[0].replicas: missing", "is the file complete?"},
	{"no services", "interfaces: []\n", "f.yaml:1:1: services: missing", "services: []"},
	{"tab", "services:\n\t- name: web\n", "f.yaml:2:1: found character '\t' that cannot start any token", "correct the YAML"},
	{"two documents", "services: []\n---\nservices: []\n", "f.yaml: more than one document", "---"},
	{"text", "hello\n", `f.yaml:1:1: "hello" is of the wrong type`, "want fields: apiVersion, kind, datapath, interfaces, pools, services"},
	{"list", "- a\n", "f.yaml:1:1: a list", "want fields"},
	{"anchor", "services: &a []\ninterfaces: *a\n", "f.yaml:1:11: services: an anchor, alias or tag (and 1 more problem)", "write the value itself"},
	{"key twice", service + "    vip: 192.0.2.2:80\n" + replicas, `f.yaml:4:5: mapping key "vip" already defined at [3:5]`, "correct the YAML"},

	{"unknown field", service + "    schedular: maglev\n" + replicas, "f.yaml:4:5: services[0].schedular: unknown field", "did you mean scheduler?"},
	{"unknown field of two lines", "\"a\\nb\": 1\nservices: []\n", "f.yaml:1:1: a b: unknown field", "want one of"},
	{"unknown field, nothing near", "bogus: 1\nservices: []\n", "f.yaml:1:1: bogus: unknown field", "want one of apiVersion, kind, datapath, interfaces, pools, services"},
	{"case", "Services: []\n", "f.yaml:1:1: Services: unknown field", "did you mean services?"},
	{"number as text", service + "    seed: abc\n" + replicas, `f.yaml:4:11: services[0].seed: "abc" is of the wrong type`, "want a whole number"},
	{"fraction", service + "    seed: 1.5\n" + replicas, `f.yaml:4:11: services[0].seed: "1.5" is of the wrong type`, "want a whole number"},
	{"quoted number", service + "    seed: \"1\"\n" + replicas, `f.yaml:4:11: services[0].seed: "1" is of the wrong type`, "without quotes"},
	{"text as number", "services:\n  - name: 5\n    vip: 192.0.2.1:80\n" + replicas, `f.yaml:2:11: services[0].name: "5" is of the wrong type`, "need quotes"},
	{"huge number", service + "    seed: 99999999999999999999999\n" + replicas, `f.yaml:4:11: services[0].seed: "99999999999999999999999" is of the wrong type`, "want a whole number"},
	{"mapping as list", service + "    replicas: {}\n", "f.yaml:4:15: services[0].replicas: a mapping", "want a list"},
	{"number as list", "services: 5\n", `f.yaml:1:11: services: "5" is of the wrong type`, "want a list"},
	{"list as text", "services:\n  - name: [web]\n", "f.yaml:2:11: services[0].name: a list", "want text"},
	{"IPv6 without quotes", "services:\n  - name: web\n    vip: [2001:db8::1]:80\n", "f.yaml:3:23: value is not allowed in this context", "needs quotes"},

	{"no port", "services:\n  - name: web\n    vip: 192.0.2.1\n" + replicas, `f.yaml:3:10: services[0].vip: "192.0.2.1" is not an address and a port`, "192.0.2.1:80"},
	{"port 0", "services:\n  - name: web\n    vip: 192.0.2.1:0\n" + replicas, "f.yaml:3:10: services[0].vip: port 0", "1 to 65535"},
	{"port too large", "services:\n  - name: web\n    vip: 192.0.2.1:65536\n" + replicas, `f.yaml:3:10: services[0].vip: "192.0.2.1:65536" is not an address and a port`, "want an address and a port"},
	{"multicast", "services:\n  - name: web\n    vip: 224.0.0.1:80\n" + replicas, "f.yaml:3:10: services[0].vip: 224.0.0.1 is a multicast address", "unicast"},
	{"name", "services:\n  - name: My Web\n    vip: 192.0.2.1:80\n" + replicas, `f.yaml:2:11: services[0].name: "My Web" cannot be a name`, "a-z"},
	{"protocol", service + "    protocol: sctp\n" + replicas, `f.yaml:4:15: services[0].protocol: "sctp" is not known`, "want tcp or udp"},
	{"scheduler", service + "    scheduler: random\n" + replicas, `f.yaml:4:16: services[0].scheduler: "random" is not known`, "want modulo or maglev"},
	{"hash", service + "    hash: crc\n" + replicas, `f.yaml:4:11: services[0].hash: "crc" is not known`, "want jhash or toeplitz"},
	{"mode", service + "    mode: tunnel\n" + replicas, `f.yaml:4:11: services[0].mode: "tunnel" is not known`, "want nat, dsr or ipip"},
	{"encapsulation", service + "    mode: ipip\n    encapsulation: vxlan\n" + replicas, `f.yaml:5:20: services[0].encapsulation: "vxlan" is not known`, "want ipip, gue or fou"},
	{"encapsulation of nat", service + "    encapsulation: gue\n" + replicas, `f.yaml:4:20: services[0].encapsulation: gue with mode nat`, "set the mode ipip"},
	{"fou without a port", service + "    mode: ipip\n    encapsulation: fou\n" + replicas, `f.yaml:2:5: services[0].tunnel_port: no port with the encapsulation fou`, "1 to 65535"},
	{"tunnel port 0", service + "    mode: ipip\n    encapsulation: gue\n    tunnel_port: 0\n" + replicas, `f.yaml:6:18: services[0].tunnel_port: 0 is not a port`, "1 to 65535"},
	{"tunnel sources", service + "    mode: ipip\n    tunnel_sources: 10.0.0.1\n" + replicas, `f.yaml:5:21: services[0].tunnel_sources: "10.0.0.1" is not a range of addresses`, "10.0.0.0/24"},
	{"tunnel sources with the VIP", service + "    mode: ipip\n    tunnel_sources: 192.0.2.0/24\n" + replicas, `f.yaml:5:21: services[0].tunnel_sources: 192.0.2.0/24 has the address of the service tcp 192.0.2.1:80`, "no service has"},
	{"source range", service + "    source_ranges: [198.51.100.0/24, 198.51.100.7]\n" + replicas, `f.yaml:4:38: services[0].source_ranges[1]: "198.51.100.7" is not a range of addresses`, "198.51.100.7/32"},
	{"source range with bits behind", service + "    source_ranges: [198.51.100.7/24]\n" + replicas, `f.yaml:4:21: services[0].source_ranges[0]: 198.51.100.7/24 has bits behind the prefix`, "want 198.51.100.0/24"},
	{"mapped source range", service + "    source_ranges: [\"::ffff:198.51.100.0/120\"]\n" + replicas, `f.yaml:4:21: services[0].source_ranges[0]: ::ffff:198.51.100.0/120 is a range of IPv4 written as IPv6`, "want 198.51.100.0/24"},
	{"source range twice", service + "    source_ranges: [198.51.100.0/24, 192.0.2.0/24, 198.51.100.0/24]\n" + replicas, `f.yaml:4:52: services[0].source_ranges[2]: 198.51.100.0/24 is source_ranges[0] already`, "every range once"},
	{"no source range", service + "    source_ranges: []\n" + replicas, `f.yaml:4:20: services[0].source_ranges: an empty list`, "for all clients, leave it out"},
	{"source ranges of IPv6 alone", service + "    source_ranges: [\"2001:db8::/32\"]\n" + replicas, `f.yaml:4:20: services[0].source_ranges: no client of 192.0.2.1 is in them`, "0.0.0.0/0 has all"},
	{"too many source ranges", "datapath: {limits: {source_ranges: 1}}\n" + service + "    source_ranges: [198.51.100.0/24, 192.0.2.0/24]\n" + replicas, `f.yaml:3:3: services: 2 source_ranges`, "larger limit of source_ranges"},
	{"packet rate", service + "    rate_limit: {packets_per_second: 0}\n" + replicas, `f.yaml:4:38: services[0].rate_limit.packets_per_second: 0 is out of range`, "want 1 to 1000000000"},
	{"end port with nat", service + "    end_port: 99\n" + replicas, `f.yaml:4:15: services[0].end_port: 99 with nat, in which all ports of a service become the one of a replica`, "want the mode dsr or ipip"},
	{"end port below", service + "    mode: dsr\n    end_port: 80\n    replicas: [{address: 10.1.0.1:80}]\n", `f.yaml:5:15: services[0].end_port: 80`, "want a port above 80"},
	{"end port 0", service + "    mode: dsr\n    end_port: 0\n    replicas: [{address: 10.1.0.1:80}]\n", `f.yaml:5:15: services[0].end_port: 0 is not a port`, "leave it out"},
	{"replica at a port of the range", service + "    mode: dsr\n    end_port: 99\n    replicas: [{address: 10.1.0.1:90}]\n", `f.yaml:6:26: services[0].replicas[0].address: port 90 with ports 80-99`, "want port 80, which stands for all ports"},
	{"ports in common", service + "    mode: dsr\n    end_port: 99\n    replicas: []\n  - {name: more, vip: 192.0.2.1:90, end_port: 91, mode: dsr, replicas: []}\n",
		`f.yaml:7:47: services[1].end_port: tcp 192.0.2.1:90-91 and tcp 192.0.2.1:80-99 have ports in common, services[0]`, "do not overlap"},
	{"flow rate", service + "    rate_limit: {new_flows_per_second: 1000001}\n" + replicas, `f.yaml:4:40: services[0].rate_limit.new_flows_per_second: 1000001 is out of range`, "want 1 to 1000000"},
	{"flow rate of stateless udp", service + "    protocol: udp\n    tracking: never\n    rate_limit: {new_flows_per_second: 9}\n" + replicas, `f.yaml:6:40: services[0].rate_limit.new_flows_per_second: 9 with udp and tracking never`, "tracking: always"},
	{"no rate", service + "    rate_limit: {burst: 1s}\n" + replicas, `f.yaml:4:17: services[0].rate_limit: no rate`, "packets_per_second"},
	{"burst", service + "    rate_limit: {packets_per_second: 9, burst: soon}\n" + replicas, `f.yaml:4:48: services[0].rate_limit.burst: "soon" is not a time to save up`, "as in 100ms or 1s"},
	{"burst too long", service + "    rate_limit: {packets_per_second: 9, burst: 11s}\n" + replicas, `f.yaml:4:48: services[0].rate_limit.burst: 11s`, "from 1ms to 10s"},
	{"burst of microseconds", service + "    rate_limit: {packets_per_second: 9, burst: 1500us}\n" + replicas, `f.yaml:4:48: services[0].rate_limit.burst: 1.5ms`, "whole milliseconds"},
	{"negative seed", service + "    seed: -1\n" + replicas, "f.yaml:4:11: services[0].seed: -1 is out of range", "from 0 to 4294967295"},
	{"seed of toeplitz", service + "    hash: toeplitz\n    seed: 7\n" + replicas, "f.yaml:5:11: services[0].seed: 7 with toeplitz, which has no seed", "jhash"},
	{"table not prime", service + "    scheduler: maglev\n    table_size: 1000\n" + replicas, "f.yaml:5:17: services[0].table_size: 1000 is not a prime", "1009"},
	{"table of modulo", service + "    table_size: 251\n" + replicas, "f.yaml:4:17: services[0].table_size: 251 slots with modulo", "want 2"},
	{"table 0", service + "    scheduler: maglev\n    table_size: 0\n" + replicas, "f.yaml:5:17: services[0].table_size: 0 is out of range", "65537"},
	{"weight 0", service + "    replicas: [{address: 10.1.0.1:80, weight: 0}]\n", "f.yaml:4:47: services[0].replicas[0].weight: 0 is not a weight", "set its state to down"},
	{"weight negative", service + "    replicas: [{address: 10.1.0.1:80, weight: -3}]\n", "f.yaml:4:47: services[0].replicas[0].weight: -3 is not a weight", "want 1 to 65535"},
	{"weight too large", service + "    replicas: [{address: 10.1.0.1:80, weight: 65536}]\n", "f.yaml:4:47: services[0].replicas[0].weight: 65536 is not a weight", "want 1 to 65535"},
	{"modulo with weights", service + "    replicas: [{address: 10.1.0.1:80, weight: 2}]\n", "f.yaml:4:47: services[0].replicas[0].weight: 2 with modulo, which has no weights", "maglev"},
	{"tracking", service + "    tracking: sometimes\n" + replicas, `f.yaml:4:15: services[0].tracking: "sometimes" is not known`, "want never, changes or always"},
	{"tracking changes of udp", service + "    protocol: udp\n    tracking: changes\n" + replicas, "f.yaml:5:15: services[0].tracking: changes with udp, which does not say when a flow starts", "want always or never"},
	{"idle is no time", service + "    idle: soon\n" + replicas, `f.yaml:4:11: services[0].idle: "soon" is not a time to be idle`, "90s"},
	{"idle without a unit", service + "    idle: 90\n" + replicas, `f.yaml:4:11: services[0].idle: "90" is of the wrong type`, "want a time span with its unit: 90s, 10m"},
	{"idle 0", service + "    idle: 0s\n" + replicas, `f.yaml:4:11: services[0].idle: "0s" is not a time to be idle`, "from 8s to 24h"},
	{"idle too short", service + "    idle: 7s\n" + replicas, "f.yaml:4:11: services[0].idle: 7s", "want whole seconds from 8s to 24h"},
	{"idle too long", service + "    idle: 25h\n" + replicas, "f.yaml:4:11: services[0].idle: 25h0m0s", "want whole seconds from 8s to 24h"},
	{"idle in milliseconds", service + "    idle: 9500ms\n" + replicas, "f.yaml:4:11: services[0].idle: 9.5s", "want whole seconds"},
	{"idle negative", service + "    idle: -90s\n" + replicas, "f.yaml:4:11: services[0].idle: -1m30s", "want whole seconds"},
	{"idle of none", service + "    tracking: never\n    idle: 90s\n" + replicas, "f.yaml:5:11: services[0].idle: 1m30s with tracking never", "leave it out"},
	{"state", service + "    replicas: [{address: 10.1.0.1:80, state: drained}]\n", `f.yaml:4:46: services[0].replicas[0].state: "drained" is not known`, "want active, draining or down"},
	{"deadline of an active one", service + "    replicas: [{address: 10.1.0.1:80, drain_until: \"2030-01-31T12:00:00Z\"}]\n", "f.yaml:4:52: services[0].replicas[0].drain_until: 2030-01-31T12:00:00Z with state active", "state: draining"},
	{"deadline", service + "    replicas: [{address: 10.1.0.1:80, state: draining, drain_until: tomorrow}]\n", `f.yaml:4:69: services[0].replicas[0].drain_until: "tomorrow" is not a deadline`, "2030-01-31T12:00:00Z"},
	{"deadline between seconds", service + "    replicas: [{address: 10.1.0.1:80, state: draining, drain_until: \"2030-01-31T12:00:00.5Z\"}]\n", `f.yaml:4:69: services[0].replicas[0].drain_until: "2030-01-31T12:00:00.5Z" is not a deadline`, "whole seconds"},
	{"port of dsr", service + "    mode: dsr\n    replicas: [{address: 10.1.0.1:8080}]\n", "f.yaml:5:26: services[0].replicas[0].address: port 8080 with dsr, which leaves the port", "want port 80"},
	{"table of modulo counts active ones", service + "    table_size: 2\n    replicas: [{address: 10.1.0.1:80}, {address: 10.1.0.2:80, state: down}]\n", "f.yaml:4:17: services[0].table_size: 2 slots with modulo", "want 1"},
	{"replica twice", service + "    replicas: [{address: 10.1.0.1:80}, {address: 10.1.0.1:80}]\n", "f.yaml:4:50: services[0].replicas[1].address: 10.1.0.1:80 is replicas[0] already", "every replica once"},
	{"families", service + "    replicas: [{address: \"[2001:db8::2]:80\"}]\n", "f.yaml:4:26: services[0].replicas[0].address: 2001:db8::2 behind 192.0.2.1", "address family"},
	{"VIP twice", service + replicas + "  - name: two\n    vip: 192.0.2.1:80\n    replicas: []\n", "f.yaml:6:10: services[1].vip: tcp 192.0.2.1:80 is services[0] already", "every VIP once"},
	{"name twice", service + replicas + "  - name: web\n    vip: 192.0.2.2:80\n    replicas: []\n", "f.yaml:5:11: services[1].name: web is services[0] already", "every name once"},
	{"replica under two", service + replicas + "  - name: two\n    vip: 192.0.2.2:80\n    replicas: [{address: 10.1.0.2:80}]\n", "f.yaml:7:26: services[1].replicas[0].address: tcp 10.1.0.2:80 is a replica of services[0] already", "a port of its own"},
	{"too many services", "datapath: {limits: {services: 1}}\n" + service + replicas + "  - name: two\n    vip: 192.0.2.2:80\n    replicas: []\n", "f.yaml:3:3: services: 2 services", "want at most 1"},
	{"too many replicas", "datapath: {limits: {replicas: 1}}\n" + service + replicas, "f.yaml:3:3: services: 2 replicas", "want at most 1"},
	{"flows limit", "datapath: {limits: {flows: 1000}}\nservices: []\n", "f.yaml:1:28: datapath.limits.flows: 1000 is not one", "want a power of two from 1024 to 67108864"},
	{"flows limit too large", "datapath: {limits: {flows: 536870912}}\nservices: []\n", "f.yaml:1:28: datapath.limits.flows: 536870912 is not one", "want a power of two"},
	{"limit", "datapath: {limits: {services: 0}}\nservices: []\n", "f.yaml:1:31: datapath.limits.services: 0 is out of range", "want 1 to 65536"},
	{"answer", "datapath: {vip_no_service: refuse}\nservices: []\n", "f.yaml:1:28: datapath.vip_no_service: \"refuse\" is not known", "want drop or reject"},
	{"key", "datapath: {toeplitz_key: abcd}\nservices: []\n", "f.yaml:1:26: datapath.toeplitz_key: ", "hexadecimal"},
	{"pool twice", "pools: [{name: b, replicas: []}, {name: b, replicas: []}]\nservices: []\n", "f.yaml:1:41: pools[1].name: b is pools[0] already", "every name once"},
	{"member without address", "pools: [{name: b, replicas: [{weight: 1}]}]\nservices: []\n", "f.yaml:1:30: pools[0].replicas[0].address: missing", "is the file complete?"},
	{"member of a group", "pools: [{name: b, replicas: [{address: 224.0.0.1}]}]\nservices: []\n", "f.yaml:1:40: pools[0].replicas[0].address: 224.0.0.1", "want an address"},
	{"name of a pool", service + "    pool: My Pool\n", `f.yaml:4:11: services[0].pool: "My Pool" cannot be a name`, "a-z"},
	{"interface twice", "interfaces: [{name: a}, {name: a}]\nservices: []\n", "f.yaml:1:32: interfaces[1].name: a is interfaces[0] already", "once"},
	{"interface name", "interfaces: [{name: a/b}]\nservices: []\n", `f.yaml:1:21: interfaces[0].name: "a/b" cannot be an interface`, "15 characters"},
	{"attach mode", "interfaces: [{name: a, mode: fast}]\nservices: []\n", `f.yaml:1:30: interfaces[0].mode: "fast" is not known`, "want auto, native or generic"},
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for _, c := range wrong {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolve(c.text)
			var e *config.Error
			if !errors.As(err, &e) || !errors.Is(err, lb.ErrInvalid) {
				t.Fatalf("error %v, want a *config.Error that is lb.ErrInvalid", err)
			}
			if !strings.HasPrefix(e.Error(), c.what) {
				t.Errorf("what: %s\n want: %s", e, c.what)
			}
			if !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("hint: %s\n want: %s", e.Hint(), c.hint)
			}
			if strings.Contains(e.Error()+e.Hint(), "\n") {
				t.Errorf("more than a line: %q", e)
			}
		})
	}
}

// TestEveryCutIsNoticed cuts a file at every byte. What is left either is refused, or
// is a file that its author may have meant: cut at the end of a line or of a list element.
func TestEveryCutIsNoticed(t *testing.T) {
	if _, err := resolve(complete); err != nil {
		t.Fatal(err)
	}
	for n := range len(complete) {
		left := strings.TrimRight(complete[:n], " ")
		if _, err := resolve(left); err == nil && !strings.HasSuffix(left, "\n") && !strings.HasSuffix(left, "}") {
			t.Errorf("cut after %q is accepted", left[max(0, len(left)-20):])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(complete)
	for _, c := range wrong {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := resolve(text)
		if err != nil {
			if !errors.Is(err, lb.ErrInvalid) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%T %q", err, err)
			}
			return
		}
		again, err := wire.Resolve(wire.Config(i), intent.Default())
		if err != nil || !again.Equal(i) {
			t.Fatalf("wire form of %q: %v", text, err)
		}
	})
}
