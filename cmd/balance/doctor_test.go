package balance

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb/doctor"
)

func TestDoctorUsage(t *testing.T) {
	w := newWorld(t)
	for line, want := range map[string]string{
		"doctor":                                      "missing IFACE",
		"doctor lo --mode fast":                       "--mode: ",
		"doctor lo --vip web":                         "--vip: web is not an address",
		"doctor lo --vip fe80::1%lo":                  "--vip: fe80::1%lo is not an address",
		"doctor lo --replica 10.1.0":                  "--replica: 10.1.0 is not an address",
		"doctor lo --on-replica --mode dsr":           "missing --vip",
		"doctor lo --on-replica --replica 10.1.0.1:8": "--replica is what the balancer sends to",
	} {
		code, stdout, stderr := w.Run(strings.Fields(line)...)
		if code != cli.ExitUsage || stdout != "" || !strings.HasPrefix(stderr, "lbctl: "+want) {
			t.Errorf("lbctl %s: exit %d, %s%s", line, code, stdout, stderr)
		}
	}
}

func TestDoctorNotFound(t *testing.T) {
	code, stdout, stderr := newWorld(t).Run("doctor", "lo", "none0")
	const want = "lbctl: not found: interface none0\n  name an interface that ip link shows in this network namespace\n"
	if code != cli.ExitNotFound || stdout != "" || stderr != want {
		t.Errorf("exit %d, stdout %s, stderr %s", code, stdout, stderr)
	}
}

// diagnose runs the doctor and reads what it says.
func diagnose(w *clitest.World, args ...string) (code int, d diagnosis) {
	w.T.Helper()
	code, stdout, stderr := w.Run(append(append([]string{"doctor"}, args...), "-o", "json")...)
	if err := json.Unmarshal([]byte(stdout), &d); err != nil {
		w.T.Fatalf("exit %d: %v in %s%s", code, err, stdout, stderr)
	}
	return code, d
}

// seen returns what a check saw.
func (d diagnosis) seen(subject, name string) string {
	for _, f := range d.Findings {
		if f.Subject == subject && f.Name == name {
			return string(f.Severity) + ": " + f.Seen
		}
	}
	return ""
}

// The loopback is no Ethernet interface anywhere.
func TestDoctorFindsAProblem(t *testing.T) {
	w := newWorld(t)
	code, d := diagnose(w, "lo", "--vip", "192.0.2.1:80", "--vip", "2001:db8::1", "--replica", "[2001:db8:1::1]:80", "--mode", "dsr")
	if code != cli.ExitFailed || d.Role != "balancer" || d.Counts[doctor.Problem] == 0 || d.seen("lo", "ethernet") != "problem: not an Ethernet interface" {
		t.Errorf("exit %d: %+v", code, d)
	}
	if got := d.seen("host", "services"); got != "ok: VIPs: 2, replicas: 1" {
		t.Errorf("services %s", got)
	}
	code, stdout, stderr := w.Run("doctor", "lo")
	if code != cli.ExitFailed || !strings.Contains(stdout, "not an Ethernet interface\n    the program") || !strings.Contains(stderr, " found\n  run the cures") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestDoctorAsksTheDaemon(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	_, d := diagnose(w, "lo", "--replica", "10.0.0.1:80", "--replica", "10.0.0.9:80")
	if got := d.seen("host", "services"); got != "ok: VIPs: 2, replicas: 4" {
		t.Errorf("services %q: want those of the daemon and the one that it does not have", got)
	}
	if d.seen("2001:db8:1::1", "address") == "" {
		t.Errorf("nothing is said of the daemon's replica: %+v", d.Findings)
	}
}

// A daemon that may not be asked is in the way only of those who do not say what to look at.
func TestDoctorDenied(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("unix", w.Path("s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	code, stdout, stderr := w.Run("doctor", "lo")
	if code != cli.ExitDenied || stdout != "" || !strings.Contains(stderr, "--vip and --replica") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, d := diagnose(w, "lo", "--vip", "192.0.2.1"); code != cli.ExitFailed || d.seen("192.0.2.1", "vip") == "" {
		t.Errorf("with --vip: exit %d, %+v", code, d)
	}
}

// Warnings and what is unknown are no problem.
func TestDoctorWithoutAProblem(t *testing.T) {
	need.Root(t)
	need.Programs(t, "ethtool")
	runtime.LockOSThread() // and never unlocked: the namespace goes with the thread
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	const setUp = `for i in 0 1; do
		ip link add name eth$i type veth peer name far$i && ip link set dev eth$i up && ip link set dev far$i up && ethtool -K far$i gro on tx off || exit
	done`
	if out, err := exec.Command("sh", "-c", setUp).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w := newWorld(t)
	code, stdout, stderr := w.Run("doctor", "eth0", "eth1")
	if code != cli.ExitDone || stderr != "" || !strings.Contains(stdout, "0 problems, ") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	for what, n := range map[string]int{"\nok ": 0, "vlan-offload": 0, "  send-back": 2, "veth_xdp_flush": 1, "(-v prints it)": 1} {
		if got := strings.Count(stdout, what); got != n {
			t.Errorf("%d times %q, want %d, in\n%s", got, what, n, stdout)
		}
	}
	if _, stdout, _ := w.Run("doctor", "eth0", "eth1", "-v"); !strings.Contains(stdout, "\nok       eth0  up") || strings.Contains(stdout, "(-v") {
		t.Errorf("with -v:\n%s", stdout)
	}
}

// A limited service that drops now, and tables that are nearly full, are warnings, each with what to do.
func TestDoctorLimits(t *testing.T) {
	b := newModesBed(t, 1500)
	b.daemon(`interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]
datapath: {limits: {replicas: 2}}
services:
  - {name: names, vip: "192.0.2.1:7", protocol: udp, rate_limit: {packets_per_second: 1}, replicas: [{address: "10.1.0.1:7"}, {address: "10.2.0.1:7"}]}
  - {name: inside, vip: "192.0.2.2:7", protocol: udp, source_ranges: [10.0.0.0/8], replicas: []}
`)
	c := b.dial("udp", aMode{vip: netip.MustParseAddr("192.0.2.1")}, 40000)
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() {
		for tick := time.Tick(time.Millisecond); ctx.Err() == nil; <-tick {
			c.Write([]byte("query"))
		}
	})
	var d diagnosis
	must(t, b.balancer.Do(func() error {
		_, d = diagnose(b.World, "eth0", "eth1", "eth2")
		return nil
	}))
	cancel()
	sending.Wait()
	for _, of := range [][3]string{
		{"rate_limited_packets", "limits", "warning: "}, {"rate_limited_packets", "limits", "packets a second are dropped; limited: names"},
		{"source_denied", "limits", "ok: nothing is dropped now; limited: inside"}, {"replicas", "room", "warning: 2 of 2, 100 %"},
		{"services", "room", "ok: 2 of 1024, 0 %"}, {"flows", "room", "ok: "}, {"slots", "room", "ok: "}, {"source_ranges", "room", "ok: 1 of 16384"},
	} {
		if seen := d.seen(of[0], of[1]); !strings.Contains(seen, of[2]) {
			t.Errorf("%s %s: %q, want %q", of[0], of[1], seen, of[2])
		}
	}
}

// The names of the JSON and the shape of the text are what scripts rely on.
func TestDoctorPrints(t *testing.T) {
	w := newWorld(t)
	var out strings.Builder
	a := &cli.App{Environment: w.Environment(t.Context())}
	a.Stdout = &out
	d := diagnosis{Role: "balancer", Interfaces: []string{"eth0"}, Counts: map[doctor.Severity]int{doctor.Problem: 1, doctor.OK: 1}, Findings: []doctor.Finding{
		{Name: "transmit", Subject: "eth0", Severity: doctor.Problem, Seen: "no GRO & no XDP", Why: "frames vanish", Cure: "ethtool -K PEER gro on", Where: "at the peer"},
		{Name: "up", Subject: "10.1.0.1", Severity: doctor.OK, Seen: "up", Why: "moves packets"},
	}}
	for f, want := range map[cli.Format]string{
		cli.FormatTable: `problem  eth0  transmit  no GRO & no XDP
    frames vanish
    at the peer:
    $ ethtool -K PEER gro on
1 problem, 0 warnings, 0 unknown, 1 ok (-v prints it)
`,
		cli.FormatJSON: `{
  "role": "balancer",
  "interface_names": [
    "eth0"
  ],
  "findings": [
    {
      "name": "transmit",
      "subject": "eth0",
      "severity": "problem",
      "seen": "no GRO & no XDP",
      "why": "frames vanish",
      "cure": "ethtool -K PEER gro on",
      "where": "at the peer"
    },
    {
      "name": "up",
      "subject": "10.1.0.1",
      "severity": "ok",
      "seen": "up",
      "why": "moves packets"
    }
  ],
  "counts": {
    "ok": 1,
    "problem": 1
  }
}
`,
	} {
		out.Reset()
		if err := a.Print(f, d, func(w io.Writer) { printDiagnosis(w, d, false) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
	}
}
