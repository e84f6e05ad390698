package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb"
)

// badInput are wrong command lines, their exit code, and the two lines of their error.
var badInput = []struct {
	line       string
	code       int
	what, hint string
}{
	{"aply", 2, `unknown command "aply"`, "did you mean apply?"},
	{"frobnicate", 2, `unknown command "frobnicate"`, "see lbctl --help"},
	{"get servces", 2, `unknown command "servces"`, "did you mean services?"},
	{"rss hsh", 2, `unknown command "hsh"`, "did you mean hash?"},
	{"completion fisch", 2, `unknown command "fisch"`, "did you mean fish?"},
	{"get services --outptu json", 2, "unknown flag --outptu", "did you mean --output?"},
	{"get services -o xml", 2, `--output: "xml" is not known: want table, wide, json, yaml, jsonpath=EXPRESSION or name`, "did you mean --output yaml?"},
	{"get services -o jsonpath", 2, `--output: "jsonpath" is not known: want table, wide, json, yaml, jsonpath=EXPRESSION or name`, "see lbctl get services --help"},
	{"get services -o jsonpath={.a", 2, `invalid argument "jsonpath={.a" for "-o, --output" flag: jsonpath: unclosed action`, "see lbctl get services --help"},
	{"get config -o wide", 2, `--output: "wide" is not known: want yaml, json or jsonpath=EXPRESSION`, "see lbctl get config --help"},
	{"get services --sort-by NAEM", 2, `--sort-by: there is no column "NAEM": want NAME, VIP, PROTOCOL, MODE, SCHEDULER, HASH, TRACKING, SLOTS, REPLICAS, ACTIVE, SEED, IDLE, ENCAPSULATION, TUNNEL PORT, TUNNEL SOURCES, POOL or LIMITS`, "did you mean --sort-by NAME?"},
	{"get services --sort-by NAME -o json", 2, "--sort-by: -o json has no rows: want -o table, wide or name", "see lbctl get services --help"},
	{"get services --interval 2s", 2, "--interval without --watch", "see lbctl get services --help"},
	{"get services --watch --interval 1ms", 2, "--interval: 1ms is out of range: want 100ms to 1h", "see lbctl get services --help"},
	{"get services web dns", 2, `unexpected argument "dns"`, "see lbctl get services --help"},
	{"attach", 2, "missing IFACE", "see lbctl attach --help"},
	{"attach eth1 --mode nativ", 2, `--mode: "nativ" is not known: want auto, native or generic`, "did you mean --mode native?"},
	{"attach eth9", 3, "attach eth9: interface not found", "name an interface that ip link shows in the daemon's network namespace"},
	{"detach eth1", 3, `interface "eth1": not found`, "list what there is: lbctl get services, lbctl get replicas, lbctl get interfaces"},
	{"apply", 2, "missing -f FILE", "see lbctl apply --help"},
	{"apply -f DIR/none.yaml", 3, "open DIR/none.yaml: no such file or directory", "check the name"},
	{"apply -f DIR/half.yaml", 2, "DIR/half.yaml: ends in the middle of a line: half-written?", "write the file again; if it is complete, end its last line"},
	{"apply -f DIR/unknown.yaml", 2, "DIR/unknown.yaml:12:5: services[1].schedular: unknown field", "did you mean scheduler?"},
	{"plan -f DIR/web.yaml --offline --take-back", 2, "--take-back with --offline: no daemon is asked what was set by hand", "see lbctl plan --help"},
	{"plan -f DIR/type.yaml", 2, `DIR/type.yaml:13:17: services[1].table_size: "many" is of the wrong type`, "want a whole number without quotes"},
	{"apply -f DIR/port.yaml", 2, "DIR/port.yaml:5:10: services[0].vip: port 0", "want a port from 1 to 65535"},
	{"apply -f DIR/weight.yaml", 2, "DIR/weight.yaml:16:49: services[1].replicas[0].weight: 0 is not a weight", "want 1 to 65535; to send a replica nothing, set its state to down"},
	{"apply -f DIR/limits.yaml", 2, "DIR/limits.yaml:5:3: services: 3 replicas", "want at most 2, or start with a larger limit of replicas"},
	{"apply -f DIR/many.yaml", 2, "DIR/many.yaml:2:3: services: 1025 services", "want at most 1024, or start with a larger limit of services"},
	{"apply -f DIR/iface.yaml", 3, "attach eth7: interface not found", "name an interface that ip link shows in the daemon's network namespace"},
	{"apply -f DIR/web.yaml --revision 0", 4, "the intent has changed: it is at revision 1", "read it again, and decide again"},
	{"apply -f DIR/web.yaml --revision 18446744073709551615", 4, "the intent has changed: it is at revision 1", "read it again, and decide again"},
	{"apply -f DIR/web.yaml --revision 99", 4, "the intent has changed: it is at revision 1", "read it again, and decide again"},
	{"explain --dst 192.0.2.1:80", 2, "missing --src ADDRESS:PORT", "see lbctl explain --help"},
	{"explain --src 1.2.3.4 --dst 192.0.2.1:80", 2, `--src: "1.2.3.4" is not an address and a port`, `want an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"`},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --protocol sctp", 2, `--protocol: "sctp" is not known`, "want tcp or udp"},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --flags syn,ece", 2, `--flags: "ece" is not known`, "want syn, ack, fin, rst, psh or urg, or no flag"},
	{"explain --src 1.2.3.4:5 --dst [::1]:80", 2, "--src: 1.2.3.4 to ::1", "want both of one address family"},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --protocol udp --flags syn", 2, "--flags: tcp flags with udp", "leave the flags out, or use protocol tcp"},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --pcap x", 2, "--pcap and --src, --dst: want a capture or a flow", "see lbctl explain --help"},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --interface eth0 --queues 4", 2, "--interface and --queues: want a NIC of this machine or one that flags describe", "see lbctl explain --help"},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --key ms", 2, "--key without --queues", "see lbctl explain --help"},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --interface eth1", 3, `interface "eth1": not attached`, "attach it (lbctl attach), or name one that lbctl get interfaces shows"},
	{"explain --src 1.2.3.4:5 --dst 192.0.2.1:80 --socket DIR/nobody", 6, "daemon unreachable on DIR/nobody: connect: no such file or directory", "start the daemon (lbctl serve), or name its socket with --socket or LBCTL_SOCKET"},
	{"explain --pcap DIR/none.pcap", 3, "open DIR/none.pcap: no such file or directory", "check the name"},
	{"explain --pcap DIR/web.yaml", 2, "DIR/web.yaml: not a capture at byte 0: it begins with 696e7465, not as pcap or pcapng do", "name a pcap or pcapng file, gzipped or not"},
	{"explain --pcap -", 2, "-: file is empty", "name a file that tcpdump -w or dumpcap wrote"},
	{"monitor --source 198.51.100.7/24", 2, "--source: 198.51.100.7/24 has bits beyond its length", "want 198.51.100.0/24, or the single address"},
	{"monitor --destination 192.0.2.1:x", 2, `--destination: "192.0.2.1:x": port "x"`, "want a port from 1 to 65535, as in 192.0.2.1:80"},
	{"monitor --protocol icmp --port 80", 2, "--protocol: icmp, which has no ports, and port 80", "want tcp, udp or sctp, or leave the port out"},
	{"monitor --port 0", 2, "--port 0: want 1 to 65535", "see lbctl monitor --help"},
	{"drain web", 2, "missing SERVICE and ADDRESS, or --host ADDRESS", "see lbctl drain --help"},
	{"drain web 10.0.0.1", 2, `ADDRESS: "10.0.0.1" is not an address and a port`, `want an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"`},
	{"drain web 10.0.0.9:8080", 3, "replica 10.0.0.9:8080 of service web: not found", "list what there is: lbctl get replicas"},
	{"drain wbe 10.0.0.1:8080", 3, `service "wbe": not found`, "list what there is: lbctl get services, lbctl get replicas, lbctl get interfaces"},
	{"drain web 10.0.0.1:8080 --for -1m", 2, "--for: -1m0s: want a time span above 0, as in 10m", "see lbctl drain --help"},
	{"drain web 10.0.0.1:8080 --for 0", 2, "--for: 0s: want a time span above 0, as in 10m", "see lbctl drain --help"},
	{"drain web 10.0.0.1:8080 --for 1m --until 2100-01-01T00:00:00Z", 2, "--for and --until: want one of the two", "see lbctl drain --help"},
	{"drain web 10.0.0.1:8080 --until tomorrow", 2, `--until: "tomorrow": want a time in whole seconds, as in 2030-01-31T12:00:00Z`, "see lbctl drain --help"},
	{"drain web 10.0.0.1:8080 --until 2001-01-01T00:00:00Z", 2, "--until: 2001-01-01T00:00:00Z has passed", "see lbctl drain --help"},
	{"replica add web 10.0.0.1:8080", 4, "add replica 10.0.0.1:8080: conflict: service web has it already", "change it: lbctl replica set web 10.0.0.1:8080"},
	{"replica add web 10.0.0.3:8080 --weight 0", 2, "--weight: 0 is not a weight", "want 1 to 65535; to send a replica nothing, set its state to down"},
	{"replica add web 10.0.0.3:8080 --weight 2", 2, "replicas[2].weight: 2 with modulo, which has no weights", "want 1, or the scheduler maglev"},
	{"replica add web 10.0.0.3:8080 --state gone", 2, `--state: "gone" is not known`, "want active, draining or down"},
	{"replica set web 10.0.0.1:8080", 2, "nothing to set: want --weight or --state", "see lbctl replica set --help"},
	{"replica set web 10.0.0.9:8080 --state down", 3, "replica 10.0.0.9:8080 of service web: not found", "list what there is: lbctl get replicas"},
	{"replica remove web 10.0.0.9:8080", 3, "replica 10.0.0.9:8080 of service web: not found", "list what there is: lbctl get replicas"},
	{"replica remove web 10.0.0.1:8080 --if-safe", 4, "remove replica 10.0.0.1:8080 of service web: conflict: not safe: it is active", "drain it first: lbctl drain web 10.0.0.1:8080 --wait"},
	{"replica remvoe web 10.0.0.1:8080", 2, `unknown command "remvoe"`, "did you mean remove?"},
	{"get flows wbe", 3, `service "wbe": not found`, "did you mean web?"},
	{"get flows web dns", 2, `unexpected argument "dns"`, "see lbctl get flows --help"},
	{"rss hash --src 1.2.3.4:5 --dst 1.2.3.4:6 --queues 0", 2, "--queues: 0: want 1 to 65536", "see lbctl rss hash --help"},
	{"rss hash --src 1.2.3.4:5 --dst 1.2.3.4:6 --table 0", 2, "--table: 0: want 1 to 65536", "see lbctl rss hash --help"},
	{"rss hash --src 1.2.3.4:5 --dst 1.2.3.4:6 --key abcd", 2, "--key: rss key of 2 bytes: want 40 to 256", "see lbctl rss hash --help"},
	{"purge", 4, "purge: conflict: a daemon runs on DIR/s", "stop it first"},
	{"serve --state-dir DIR/state --metrics off", 4, fmt.Sprintf("lock DIR/state: conflict: process %d has it open", os.Getpid()), "stop the other daemon, or use another --state-dir"},
	{"serve --state-dir DIR/other --metrics off", 4, "listen on DIR/s: conflict: a daemon is listening already", "stop what uses it, or use another --socket"},
	{"serve --log-format xml", 2, `--log-format: "xml" is not known: want text or json`, "see lbctl serve --help"},
	{"get services --socket DIR/nobody", 6, "daemon unreachable on DIR/nobody: connect: no such file or directory", "start the daemon (lbctl serve), or name its socket with --socket or LBCTL_SOCKET"},
}

// TestBadInput: for every wrong input the exit code, one line what and one what to do.
// Nothing is printed on stdout, and nothing changes.
func TestBadInput(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	before := w.OK("get", "services", "-o", "json") + w.OK("get", "interfaces")
	w.Write("half.yaml", clitest.WebConfig[:len(clitest.WebConfig)/2])
	w.Write("unknown.yaml", strings.Replace(clitest.WebConfig, "scheduler", "schedular", 1))
	w.Write("type.yaml", strings.Replace(clitest.WebConfig, "table_size: 251", "table_size: many", 1))
	w.Write("port.yaml", strings.Replace(clitest.WebConfig, "192.0.2.1:80", "192.0.2.1:0", 1))
	w.Write("weight.yaml", strings.Replace(clitest.WebConfig, "weight: 3", "weight: 0", 1))
	w.Write("limits.yaml", "datapath: {limits: {replicas: 2}}\n"+clitest.WebConfig)
	w.Write("iface.yaml", strings.Replace(clitest.WebConfig, "eth0", "eth7", 1))
	w.Write("many.yaml", many1025())
	for _, c := range badInput {
		w.Refused(c.line, c.code, c.what, c.hint)
	}
	if after := w.OK("get", "services", "-o", "json") + w.OK("get", "interfaces"); after != before {
		t.Errorf("something changed:\n%s", after)
	}
}

// many1025 is a file with one service more than the default limit.
func many1025() string {
	var text strings.Builder
	text.WriteString("services:\n")
	for n := range 1025 {
		fmt.Fprintf(&text, "  - {name: s%d, vip: \"192.0.2.1:%d\", replicas: []}\n", n, n+1)
	}
	return text.String()
}

// TestServeRefused: a daemon that cannot start says why.
func TestServeRefused(t *testing.T) {
	for _, c := range []struct {
		name       string
		err        error
		code       int
		what, hint string
	}{
		{"not root", fmt.Errorf("load program: %w", lb.ErrDenied), 5, "load program: denied", "run lbctl serve as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN and directories of its own"},
		{"old kernel", fmt.Errorf("%w: kernel 4.19 is too old", lb.ErrUnsupported), 1, "not supported: kernel 4.19 is too old", "run Linux 6.1 or later with BPF, and pin below a BPF file system"},
		{"other limits", fmt.Errorf("open tables: %w: other limits", lb.ErrConflict), 4, "open tables: conflict: other limits", "use another --pin-dir; or make the tables anew, which ends balancing until then: lbctl purge"},
		{"an error that says what to do", cli.Advise(fmt.Errorf("%w: schema 3", lb.ErrConflict), "run lbctl purge"), 4, "conflict: schema 3", "run lbctl purge"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.Refuse = c.err
			w.Write("web.yaml", clitest.WebConfig)
			w.Refused("serve --state-dir DIR/state --metrics off -f DIR/web.yaml", c.code, c.what, c.hint)
			if _, err := os.Stat(w.Path("s")); err == nil {
				t.Error("the socket is left")
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	w.Serve()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr strings.Builder
	env := w.Environment(ctx, "get", "services")
	env.Stderr = &stderr
	if code := w.RunIn(env); code != cli.ExitInterrupted || !strings.HasPrefix(stderr.String(), "lbctl: interrupted\n") {
		t.Errorf("exit %d, stderr %s; want %d", code, stderr.String(), cli.ExitInterrupted)
	}
}
