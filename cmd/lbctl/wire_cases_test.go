package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/cmd/nic/nictest"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/testbed/netns"
	"lbctl/testbed/report"
)

// wireCase is a command that prints data, and what it is run with.
type wireCase struct {
	command string
	// lines are run one after the other with the command before and -o json after; what they print is taken together.
	lines []string
	// before is run first, in the same world.
	before []string
	// stdin is what the command reads.
	stdin string
	// code is the exit code.
	code int
	// part is true where what is printed depends on the machine: it may lack some of the golden shape, which -update leaves.
	part bool
	// as is the command whose answer this one gives, by the same code; it is not run.
	as string
	// alone is true for a command that wants no daemon.
	alone bool
	// traffic is true where packets must come in meanwhile.
	traffic bool
	// spoilt is true where others have removed a service from the datapath.
	spoilt bool
	// inside runs it in a network namespace of its own, which needs root.
	inside bool
}

const (
	aFlow = "--src 198.51.100.7:40000 --dst 192.0.2.1:80 "
	// wireOther is another configuration than clitest.WebConfig: every kind of step leads to it.
	wireOther = `interfaces: [{name: eth1, mode: generic}]
services:
  - {name: www, vip: 192.0.2.1:80, scheduler: maglev, table_size: 251, health: {type: http, slow_start: 30s}, replicas: [{address: 10.0.0.1:8080, weight: 2}]}
  - {name: new, vip: 192.0.2.9:80, idle: 90s, replicas: []}
`
)

// dataKeys are the objects whose keys are data, and what they are.
var dataKeys = map[string]string{
	".counts": "severity", ".fields_by_type": "flow type", ".contexts[].fields_by_type": "flow type", ".profiles[].fields_by_type": "flow type", ".parameters": "parameter",
	".datapath.limits": "capacity", ".config.datapath.limits": "capacity", ".imbalance": "measure", ".compare[].imbalance": "measure", ".runs[].core_time": "activity", ".runs[].cores[].core_time": "activity",
}

// twoTypes are names that have more than one JSON type, and why.
var twoTypes = map[string]string{
	"status": "of a check the HTTP status that is wanted, of a replica's health the word for it",
}

// wireCases are all commands that have -o json.
var wireCases = []wireCase{
	{command: "plan", lines: []string{"-f DIR/web.yaml", "-f DIR/other.yaml"}},
	{command: "apply", lines: []string{"-f DIR/other.yaml --dry-run", "-f DIR/other.yaml"}},
	{command: "check", lines: []string{"-f DIR/web.yaml"}, alone: true},
	{command: "rollback", lines: []string{"1 --dry-run", "1"}, before: []string{"apply -f DIR/other.yaml"}},
	{command: "status", lines: []string{"--over 1ms"}},
	{command: "verify", lines: []string{""}, spoilt: true, code: cli.ExitFailed},
	{command: "attach", lines: []string{"eth1 --mode generic", "eth1 --dry-run"}},
	{command: "detach", lines: []string{"eth0 --dry-run", "eth0"}},
	{command: "get services", lines: []string{"", "www"}, before: []string{"apply -f DIR/pooled.yaml"}},
	{command: "get pools", lines: []string{"", "backends"}, before: []string{"apply -f DIR/pooled.yaml"}},
	{command: "get replicas", lines: []string{"", "www"}, before: []string{"apply -f DIR/other.yaml", "drain www 10.0.0.1:8080 --for 10m"}},
	{command: "get flows", lines: []string{"", "web", "web --client 198.51.100.7"}, before: []string{"apply -f DIR/recording.yaml", "drain web 10.0.0.2:8080 --for 10m"}, traffic: true},
	{command: "get interfaces", lines: []string{"", "eth0"}},
	{command: "get counters", lines: []string{"", "forwarded", "--since 100ms"}, traffic: true},
	{command: "get config", lines: []string{""}, before: []string{"apply -f DIR/pooled.yaml"}},
	{command: "get revisions", lines: []string{"", "1"}},
	{command: "explain", lines: []string{aFlow + "--flags syn --queues 4", aFlow + "--interface eth0", "--pcap DIR/c.pcap --interface eth0"},
		before: []string{"drain web 10.0.0.2:8080"}},
	{command: "monitor", lines: []string{"--count 20"}, traffic: true, part: true},
	{command: "events", lines: []string{"", "--after 1-1"}, before: []string{"attach eth1"}},
	{command: "decap attach", lines: []string{"eth0 --local 10.1.0.1 --vip 192.0.2.1 --pin-dir PINS"}, inside: true},
	{command: "decap list", lines: []string{"--pin-dir PINS"}, inside: true, before: []string{"decap attach eth0 --local 10.1.0.1 --vip 192.0.2.1 --pin-dir PINS"}},
	{command: "decap detach", lines: []string{"eth0 --pin-dir PINS"}, inside: true, before: []string{"decap attach eth0 --local 10.1.0.1 --vip 192.0.2.1 --pin-dir PINS"}},
	{command: "doctor", lines: []string{"lo"}, code: cli.ExitFailed, part: true},
	{command: "replica add", lines: []string{"web 10.0.0.3:8080"}},
	{command: "replica set", lines: []string{"web 10.0.0.2:8080 --state down"}},
	{command: "replica remove", lines: []string{"web 10.0.0.2:8080"}},
	{command: "drain", lines: []string{"web 10.0.0.2:8080 --for 10m"}},
	{command: "edit", as: "apply"},
	{command: "service add", as: "apply"},
	{command: "service set", as: "apply"},
	{command: "service remove", as: "apply"},
	{command: "delete", as: "apply"},
	{command: "down", lines: []string{"web 10.0.0.2:8080 --note disk --dry-run", "web 10.0.0.2:8080"}},
	{command: "up", lines: []string{"web 10.0.0.2:8080"}, before: []string{"down web 10.0.0.2:8080"}},
	{command: "undrain", lines: []string{"--host 10.0.0.2"}, before: []string{"drain web 10.0.0.2:8080 --for 10m"}},
	{command: "weight", lines: []string{"dns [2001:db8:1::1]:53 5"}},
	{command: "take-back", lines: []string{"web"}, before: []string{"drain web 10.0.0.2:8080 --for 10m"}},
	{command: "get overrides", lines: []string{""}, before: []string{"drain web 10.0.0.2:8080 --for 10m --note disk", "weight dns [2001:db8:1::1]:53 5"}},
	{command: "purge", lines: []string{"--pin-dir DIR/pins"}, alone: true},
	{command: "token new", lines: []string{"--name ci --role operator --expires 90d"}, alone: true},
	{command: "version", lines: []string{"", "--pin-dir PINS"}, inside: true, before: []string{"decap attach eth0 --local 10.1.0.1 --vip 192.0.2.1 --pin-dir PINS"}},

	{command: "rss hash", lines: []string{aFlow, aFlow + "--profile mlx5 --queues 8", "-"}, stdin: "10.0.0.1:5000 10.0.0.2:80\n10.0.0.1 10.0.0.2\n"},
	{command: "rss profiles", lines: []string{""}},
	{command: "rss show", lines: []string{"eth0", "veth0"}, before: []string{"rss set eth0 --context new"}},
	{command: "rss set", lines: []string{"eth0 --weight 4,2,1,1 --flows - --dry-run", "eth0 --context new", "eth0 --context 1 --delete"}, stdin: "tcp 198.51.100.7:40000 192.0.2.1:80\n"},
	{command: "rss verify", lines: []string{"lo --queues 1 --for 300ms --mode generic"}, inside: true, part: true},
	{command: "rss replay", lines: []string{"DIR/c.pcap --queues 8 --top 3 --window 1ms --compare queues=8 --change-at 10 --change-to EQUAL1"}},
	{command: "rss plan", lines: []string{"DIR/c.pcap --what-if queues=8"}},
	{command: "rss simulate", lines: []string{"--duration 10ms --mode napi --sweep load=0.1..0.5:2"}},
	{command: "rss key analyse", lines: []string{"ms --queues 8"}},
	{command: "rss key generate", lines: []string{"--symmetric --seed 7"}},
	{command: "rss ports", lines: []string{"--src 198.51.100.7 --dst 192.0.2.1:6379 --queue 2 --reply-queue 0", "--src 198.51.100.7:40000 --dst 192.0.2.1:6379 --queue 2 --adjust 7"}},
	{command: "rss identify", lines: []string{"DIR/observed.csv"}},

	{command: "lab list", lines: []string{""}, alone: true},
	{command: "lab describe", lines: []string{"nic-oracle", "spread"}, alone: true},
	{command: "lab report", lines: []string{"DIR/report", "DIR/reports"}, alone: true},
	{command: "lab compare", lines: []string{"DIR/report DIR/other"}, alone: true},
	{command: "lab run", as: "lab report"},
	{command: "demo", as: "lab report"},
	{command: "bench live", as: "lab report"},
	{command: "bench peers", as: "lab report"},
}

// output runs a case in a world of its own and returns what it prints.
func (c wireCase) output(t *testing.T) string {
	w := newWorld(t)
	w.Memory = oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}, Routes: toEth1{}})
	w.Write("web.yaml", clitest.WebConfig)
	w.Write("other.yaml", wireOther)
	w.Write("pooled.yaml", "pools: [{name: backends, replicas: [{address: 10.0.0.1, state: draining, drain_until: 2030-01-31T12:00:00Z}]}]\n"+
		wireOther+"  - {name: pooled, vip: 192.0.2.8:80, pool: backends}\n")
	w.Write("recording.yaml", strings.Replace(clitest.WebConfig, "name: web", "name: web\n    tracking: always", 1))
	w.Write("c.pcap", nictest.Capture(20))
	w.Write("observed.csv", wireObservations(rss.MicrosoftKey(), 40))
	w.Write("wrong.csv", "src,dst,hash\n10.0.0.1:1,10.0.0.2:2,0x1\n10.0.0.1:1,10.0.0.2:2,0x2\n")
	writeWireReport(t, w.Path("report"), 1)
	writeWireReport(t, w.Path("other"), 2)
	writeWireReport(t, w.Path("reports/spread"), 1)
	if !c.alone {
		w.Serve("-f", w.Path("web.yaml"))
	}
	run := w.Run
	if c.inside {
		run = insideOf(t, w)
	} else {
		w.NICs = nictest.NewCard().Interfaces()
	}
	if c.spoilt {
		if err := w.Memory.RemoveService(t.Context(), lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}); err != nil {
			t.Fatal(err)
		}
	}
	if c.traffic {
		defer wireTraffic(w)()
	}
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-wire-%d", os.Getpid())
	t.Cleanup(func() { os.RemoveAll(pins) })
	words := func(line string) []string {
		all := strings.Fields(strings.NewReplacer("DIR", w.Dir, "PINS", pins).Replace(line))
		for n := range all {
			all[n] = strings.ReplaceAll(all[n], "EQUAL1", "equal 1")
		}
		return all
	}
	for _, line := range c.before {
		if code, _, stderr := run(words(line)...); code != cli.ExitDone {
			t.Fatalf("lbctl %s: exit %d, %s", line, code, stderr)
		}
	}
	var text strings.Builder
	for _, line := range c.lines {
		w.Stdin = c.stdin
		code, stdout, stderr := run(append(words(c.command+" "+line), "-o", "json")...)
		if code != c.code {
			t.Fatalf("lbctl %s %s: exit %d, %s", c.command, line, code, stderr)
		}
		text.WriteString(stdout)
	}
	return text.String()
}

// toEth1 is one route to all addresses, out of eth1.
type toEth1 struct{}

func (toEth1) Route(netip.Addr) (oracle.Route, bool) {
	return oracle.Route{Interface: "eth1", Index: 3, MTU: 1500, Source: lb.MAC{2, 0, 0, 0, 0, 3}, Neighbour: lb.MAC{2, 0, 0, 0, 0, 9}}, true
}

// wireFrame is a packet of a client of the service web.
func wireFrame(port int) []byte {
	return packet.Frame{Flow: packet.Flow{
		Source:      netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), uint16(port)),
		Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
	}}.Marshal()
}

// wireTraffic has packets come in until the returned function is called.
func wireTraffic(w *clitest.World) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				w.Memory.Process(2, wireFrame(40000+n%100))
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// wireObservations are CSV of flows hashed under a key.
func wireObservations(key rss.Key, n int) string {
	text := "src,dst,hash,queue\n"
	for i := range n {
		s := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(7 * i), byte(13 * i), byte(29 * i)}), uint16(40009*i))
		d := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(31 * i)}), uint16(i*i))
		h := rss.Toeplitz(key, rss.AppendTuple(nil, s, d))
		text += fmt.Sprintf("%v,%v,0x%08x,%d\n", s, d, h, h%4)
	}
	return text
}

// writeWireReport writes a report that has something of all that a report may have.
func writeWireReport(t *testing.T, dir string, n int) {
	t.Helper()
	check := report.Check{Name: "a", Pass: n == 1, Measured: n, Expected: 1, Detail: "as it must be"}
	quantity := report.Quantity{Name: "q", Value: 1, Unit: "u", Low: new(0.5), High: new(1.5), Samples: 20, Why: "w"}
	r := report.Result{
		Experiment: "spread", Problem: "10", Pass: true, Seed: 1, Seconds: 1.5, Environment: report.Environment{CPUs: 2 * n}, Parameters: map[string]any{"replicas": 4 * n},
		Checks: []report.Check{check}, Controls: []report.Check{check}, Tables: []report.Table{{Name: "t", Columns: []string{"n"}, Rows: [][]any{{1}}}},
		Question: "?", Claim: "c", Method: "m", Headline: "h", Quantities: []report.Quantity{quantity},
		Predictions: []report.Prediction{{Name: "q", Question: "?", Predicted: 1, Measured: quantity, Rule: "r", Verdict: report.Pass}},
	}
	if err := report.Write(dir, r, []report.Figure{{Name: "f", Title: "f", SVG: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)}}); err != nil {
		t.Fatal(err)
	}
}

// insideOf makes a namespace with the interface eth0 (10.1.0.1) and traffic on lo, and returns how a command is run there.
func insideOf(t *testing.T, w *clitest.World) func(args ...string) (code int, stdout, stderr string) {
	t.Helper()
	need.Root(t)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	run, err := netns.NewRun()
	must(err)
	t.Cleanup(func() { run.Close() })
	inside, err := run.Make("wire")
	must(err)
	eth0, _, err := netns.Veth(netns.End{Namespace: inside, Name: "eth0"}, netns.End{Namespace: inside, Name: "wire"}, 0)
	must(err)
	must(eth0.AddAddress(netip.MustParsePrefix("10.1.0.1/24")))
	must(inside.Do(func() error {
		c, err := net.Dial("udp4", "10.1.0.1:9")
		if err != nil {
			return err
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		t.Cleanup(func() { close(stop); <-stopped; c.Close() })
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					c.Write([]byte("x"))
				}
			}
		}()
		return nil
	}))
	return func(args ...string) (code int, stdout, stderr string) {
		must(inside.Do(func() error {
			code, stdout, stderr = w.Run(args...)
			return nil
		}))
		return code, stdout, stderr
	}
}
