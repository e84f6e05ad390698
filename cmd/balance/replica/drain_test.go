package replica_test

import (
	"bytes"
	"context"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/balance/replica"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// TestReplicaCommands is a session about one service: commands in order and what they print.
func TestReplicaCommands(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Clock = cli.Clock{Time: func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 1, time.UTC) }}
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for _, c := range []struct{ line, want string }{
		{"replica add web 10.0.0.3:8080 --state down", "10.0.0.3:8080 added to web\n"},
		{"replica set web 10.0.0.3:8080 --state active", "10.0.0.3:8080 changed in web\n"},
		{"replica set dns [2001:db8:1:0::1]:53 --weight 7", "[2001:db8:1::1]:53 changed in dns\n"},
		{"get replicas", `SERVICE  REPLICA             STATE   HEALTH  WEIGHT  PACKETS  BYTES  PACKETS/S  BY HAND   REASON
web      10.0.0.1:8080       active  -       1       0        0      -          -         -
web      10.0.0.2:8080       active  -       1       0        0      -          -         -
web      10.0.0.3:8080       active  -       1       0        0      -          active    -
dns      [2001:db8:1::1]:53  active  -       7       0        0      -          weight 7  -
`},
		{"drain web 10.0.0.1:8080 --for 10m", `10.0.0.1:8080 of web is draining, and down at 2100-01-01T00:10:01Z
not yet safe to remove: an unknown number of flows from before in 1 slot left
`},
		{"get flows web", `SERVICE  TRACKING  SLOTS  IN TRANSITION
web      changes   2      2

SERVICE  REPLICA        STATE     ESTABLISHED  HALF-OPEN  OLD-FLOW SLOTS  SAFE TO REMOVE  DRAIN UNTIL
web      10.0.0.1:8080  draining  0+           0          1               no              2100-01-01T00:10:01Z
web      10.0.0.2:8080  active    0+           0          1               no              -
web      10.0.0.3:8080  active    0+           0          0               no              -
`},
		{"drain web 10.0.0.1:8080", `10.0.0.1:8080 of web is draining
not yet safe to remove: an unknown number of flows from before in 1 slot left
`},
		{"drain web 10.0.0.1:8080 --until 2100-01-01T02:00:00+01:00 -o json", `{
  "address": "10.0.0.1:8080",
  "weight": 1,
  "state": "draining",
  "drain_until": "2100-01-01T01:00:00Z",
`},
		{"replica remove web 10.0.0.3:8080", "10.0.0.3:8080 removed from web\n"},
	} {
		got := w.OK(strings.Fields(c.line)...)
		if c.want[0] == '{' {
			got = got[:min(len(got), len(c.want))]
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
}

// waiting runs a command that waits, and returns what lets a second pass, with what happens in it, and what ends with it.
func waiting(w *clitest.World, args ...string) (second func(what ...func()), ended func() (code int, stdout, stderr string)) {
	seconds, asked := make(chan time.Time), make(chan struct{}, 100)
	w.Clock = cli.Clock{Timer: func(time.Duration) <-chan time.Time { asked <- struct{}{}; return seconds }}
	var out, errs bytes.Buffer
	env := w.Environment(w.T.Context(), args...)
	env.Stdout, env.Stderr = &out, &errs
	code := make(chan int, 1)
	go func() { code <- w.RunIn(env) }()
	second = func(what ...func()) {
		select {
		case <-asked:
			for _, happens := range what {
				happens()
			}
			seconds <- time.Time{}
		case c := <-code:
			code <- c
		}
	}
	return second, func() (int, string, string) { return <-code, out.String(), errs.String() }
}

// startFlow has a flow begin and go on.
func startFlow(w *clitest.World, port uint16) {
	sendPacket(w, port, packet.SYN)
	sendPacket(w, port, packet.ACK)
}

// sendPacket sends a packet to web.
func sendPacket(w *clitest.World, port uint16, flags packet.TCPFlags) {
	w.Memory.Process(2, packet.Frame{Flags: flags, Flow: packet.Flow{
		Source:      netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port),
		Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
	}}.Marshal())
}

// TestDrainWait ends when the replica is safe to remove, and says what is left before.
func TestDrainWait(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Memory = oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2}, Routes: clitest.Everywhere{}})
	w.Serve("-f", w.Write("web.yaml", strings.Replace(clitest.WebConfig, "      - {address: 10.0.0.2:8080}\n", "", 1)+
		"\n"))
	w.OK("replica", "set", "web", "10.0.0.1:8080", "--state", "draining")
	w.OK("replica", "add", "web", "10.0.0.2:8080")
	w.OK("replica", "set", "web", "10.0.0.1:8080", "--state", "active")
	for port := range uint16(20) { // recorded, as all slots are in transition; some are the replica's
		startFlow(w, 40000+port)
	}
	second, ended := waiting(w, "drain", "web", "10.0.0.1:8080", "--wait")
	packets := func() {
		for port := range uint16(20) {
			sendPacket(w, 40000+port, packet.ACK)
		}
	}
	second(packets)
	second(packets)
	second()
	second(func() { w.Memory.Advance(2 * lb.DefaultIdle(packet.TCP)) })
	code, stdout, stderr := ended()
	if want := "10.0.0.1:8080 of web is draining\nsafe to remove\n"; code != cli.ExitDone || stdout != want {
		t.Errorf("exit %d, stdout %q, want %q", code, stdout, want)
	}
	const left = `lbctl: (\d+) recorded flows and an unknown number of flows from before in 1 slot left`
	want := regexp.MustCompile("^" + left + "\n" + left + "; (\\d+) packets to it in the last second\n" + left + "; 0 packets to it in the last second\n$")
	if got := want.FindStringSubmatch(stderr); got == nil || got[1] != got[3] {
		t.Errorf("stderr %s, want what matches %v, a packet of each flow", stderr, want)
	}
	if out := w.OK("replica", "remove", "web", "10.0.0.1:8080", "--if-safe"); out != "10.0.0.1:8080 removed from web\n" {
		t.Errorf("remove: %s", out)
	}
}

// TestDrainWaitOverARestart: a daemon that is replaced in mid-drain is waited for, and goes on draining.
func TestDrainWaitOverARestart(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	second, ended := waiting(w, "drain", "web", "10.0.0.1:8080", "--wait")
	second()
	w.Stop()
	second()
	second()
	w.Serve()
	second()
	w.Memory.Advance(2 * lb.DefaultIdle(packet.TCP))
	second()
	code, stdout, stderr := ended()
	if !strings.HasSuffix(stdout, "safe to remove\n") || code != cli.ExitDone || strings.Count(stderr, "the daemon does not answer: waiting for it\n") != 1 {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// TestDrainWaitGivesUp on a daemon that does not come back.
func TestDrainWaitGivesUp(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	second, ended := waiting(w, "drain", "web", "10.0.0.1:8080", "--wait")
	second()
	w.Stop()
	for range replica.RestartPolls + 1 {
		second()
	}
	if code, _, stderr := ended(); code != cli.ExitUnreachable || !strings.Contains(stderr, "lbctl serve") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestARestartKeepsWhatWasSetByHand: neither a file that knows nothing of it nor a signal to read it again gives traffic
// back, and the log says what is kept.
func TestARestartKeepsWhatWasSetByHand(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	file := w.Write("web.yaml", clitest.WebConfig)
	w.Serve("-f", file)
	w.OK("drain", "web", "10.0.0.1:8080")
	w.OK("down", "web", "10.0.0.2:8080", "--note", "disk")
	w.Stop()
	w.Serve("-f", file)
	for _, want := range []string{"state=draining declared=active", "state=down declared=active"} {
		if !strings.Contains(w.Log.String(), `msg="kept by hand" service=web replica=10.0.0.`) || !strings.Contains(w.Log.String(), want) {
			t.Errorf("no %s in %s", want, w.Log)
		}
	}
	const kept = `kept by hand: web 10.0.0.1:8080 draining (file: active)
kept by hand: web 10.0.0.2:8080 down (file: active)
`
	if out := w.OK("apply", "-f", file); !strings.HasSuffix(out, kept) {
		t.Errorf("apply: %s want %s", out, kept)
	}
	if out := w.OK("get", "config"); strings.Contains(out, "down") || strings.Contains(out, "draining") {
		t.Errorf("the configuration has what was set by hand:\n%s", out)
	}
	if out := w.OK("plan", "-f", file, "--take-back"); strings.Count(out, "taken back: web ") != 2 {
		t.Errorf("plan: %s", out)
	}
	if out := w.OK("rollback", "1"); !strings.HasSuffix(out, kept) {
		t.Errorf("rollback: %s", out)
	}
	if out := w.OK("apply", "-f", file, "--take-back=web"); strings.Count(out, "taken back: web ") != 2 {
		t.Errorf("apply: %s", out)
	}
	if out := w.OK("get", "overrides", "-o", "json"); strings.Contains(out, "web") {
		t.Errorf("overrides: %s", out)
	}
}

// TestByHand is a session of the verbs that set by hand.
func TestByHand(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Clock = cli.Clock{Time: func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }}
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for _, c := range []struct{ line, want string }{
		{"down web 10.0.0.1:8080 --dry-run", "dry run, nothing has changed:\nset by hand: web 10.0.0.1:8080 down (file: active)\n"},
		{"down web 10.0.0.1:8080", "set by hand: web 10.0.0.1:8080 down (file: active)\n"},
		{"down web 10.0.0.1:8080", "nothing to do: it is so already\n"},
		{"up web 10.0.0.1:8080", "taken back: web 10.0.0.1:8080 down (file: active)\n"},
		{"up web 10.0.0.1:8080", "nothing to do: it is so already\n"},
		{"undrain web 10.0.0.1:8080", "nothing to do: it is so already\n"},
		{"drain --host 10.0.0.1 --for 10m", "set by hand: web 10.0.0.1:8080 draining until 2100-01-01T00:10:00Z (file: active)\n"},
		{"undrain --host 10.0.0.1", "taken back: web 10.0.0.1:8080 draining until 2100-01-01T00:10:00Z (file: active)\n"},
		{"weight dns [2001:db8:1::1]:53 5", "set by hand: dns [2001:db8:1::1]:53 weight 5 (file: weight 3)\n"},
		{"down --host 2001:db8:1::1", "set by hand: dns [2001:db8:1::1]:53 weight 5, down (file: weight 3, active)\n"},
		{"up --host 2001:db8:1::1", "set by hand: dns [2001:db8:1::1]:53 weight 5 (file: weight 3)\n"},
		{"weight dns [2001:db8:1::1]:53 --reset", "taken back: dns [2001:db8:1::1]:53 weight 5 (file: weight 3)\n"},
		{"down web 10.0.0.2:8080", "set by hand: web 10.0.0.2:8080 down (file: active)\n"},
		{"take-back web 10.0.0.2:8080", "taken back: web 10.0.0.2:8080 down (file: active)\n"},
		{"take-back --all", "nothing to do: it is so already\n"},
	} {
		if got := w.OK(strings.Fields(c.line)...); got != c.want {
			t.Errorf("lbctl %s:\n%s want\n%s", c.line, got, c.want)
		}
	}
	w.OK("down", "web", "10.0.0.1:8080")
	for line, want := range map[string]struct {
		code int
		text string
	}{
		"undrain web 10.0.0.1:8080":          {cli.ExitConflict, "it is down, and does not drain"},
		"down web":                           {cli.ExitUsage, "missing SERVICE and ADDRESS"},
		"down web first":                     {cli.ExitUsage, "is not an address and a port"},
		"down web --host 10.0.0.1":           {cli.ExitUsage, "want one of the two"},
		"down --host 10.0.0.1:80":            {cli.ExitUsage, "want one without a port"},
		"down --host 10.9.9.9":               {cli.ExitNotFound, "replicas at 10.9.9.9"},
		"down nope 10.0.0.1:8080":            {cli.ExitNotFound, "nope"},
		"weight web 10.0.0.1:8080":           {cli.ExitUsage, "either N or --reset"},
		"weight web 10.0.0.1:8080 5 --reset": {cli.ExitUsage, "either N or --reset"},
		"weight web 10.0.0.1:8080 0":         {cli.ExitUsage, "want 1 to 65535"},
		"weight web 10.0.0.1:8080 5":         {cli.ExitUsage, "modulo"},
		"take-back":                          {cli.ExitUsage, "either SERVICE or --all"},
		"take-back web --all":                {cli.ExitUsage, "either SERVICE or --all"},
		"take-back nope":                     {cli.ExitNotFound, "nope"},
		"drain --host 10.0.0.1 --wait":       {cli.ExitUsage, "for one replica"},
	} {
		if code, _, stderr := w.Run(strings.Fields(line)...); code != want.code || !strings.Contains(stderr, want.text) {
			t.Errorf("lbctl %s: exit %d, %s, want %d, %s", line, code, stderr, want.code, want.text)
		}
	}
}

// TestPlanOfADeadline: apply would do something, though nothing in the datapath.
func TestPlanOfADeadline(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	drains := strings.Replace(clitest.WebConfig, "{address: 10.0.0.1:8080}", "{address: 10.0.0.1:8080, state: draining}", 1)
	w.Serve("-f", w.Write("web.yaml", drains))
	until := w.Write("until.yaml", strings.Replace(drains, "draining}", "draining, drain_until: 2100-01-01T00:00:00Z}", 1))
	const field = "services[web].replicas[10.0.0.1:8080].drain_until: none > 2100-01-01T00:00:00Z\n"
	for _, c := range []struct{ verb, want string }{
		{"plan", "nothing to do in the datapath (revision 1)\n" + field},
		{"apply", "nothing to do in the datapath (revision 2)\n" + field},
		{"plan", "nothing to do (revision 2)\n"},
	} {
		if got := w.OK(c.verb, "-f", until); got != c.want {
			t.Errorf("lbctl %s:\n%s want\n%s", c.verb, got, c.want)
		}
	}
}

// TestDrainWaitEndsOtherwise: the deadline, somebody else, Ctrl-C.
func TestDrainWaitEndsOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile []string
		code      int
		stderr    string
	}{
		"down":    {[]string{"replica", "set", "web", "10.0.0.1:8080", "--state", "down"}, cli.ExitFailed, "is down: the deadline came with"},
		"active":  {[]string{"replica", "set", "web", "10.0.0.1:8080", "--state", "active"}, cli.ExitConflict, "somebody has made it active"},
		"removed": {[]string{"replica", "remove", "web", "10.0.0.1:8080"}, cli.ExitNotFound, "somebody has removed it"},
	} {
		t.Run(name, func(t *testing.T) {
			w := clitest.New(t, balance.Commands)
			w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
			second, ended := waiting(w, "drain", "web", "10.0.0.1:8080", "--wait")
			second()
			w.OK(c.meanwhile...)
			second()
			second()
			if code, _, stderr := ended(); code != c.code || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit %d, stderr %s", code, stderr)
			}
		})
	}
}

func TestDrainOfTheLastOneWarns(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	w.OK("drain", "web", "10.0.0.1:8080")
	code, _, stderr := w.Run("drain", "web", "10.0.0.2:8080")
	if want := "lbctl: no replica of web is active: new flows are dropped\n"; code != cli.ExitDone || stderr != want {
		t.Errorf("exit %d, stderr %s", code, stderr)
	}
}

// TestDrainWarns of what it cannot do.
func TestDrainWarns(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", strings.Replace(clitest.WebConfig, "name: web", "name: web\n    tracking: never", 1)))
	for _, c := range []struct{ line, want string }{
		{"drain dns [2001:db8:1::1]:53", "set an end with --for\n"},
		{"drain web 10.0.0.1:8080", "web does not track flows (tracking: never): those of the replica go to others at once\n"},
	} {
		code, _, stderr := w.Run(strings.Fields(c.line)...)
		if code != cli.ExitDone || !strings.Contains(stderr, c.want) {
			t.Errorf("lbctl %s: exit %d, stderr %s, want %s", c.line, code, stderr, c.want)
		}
	}
	if _, _, stderr := w.Run("drain", "dns", "[2001:db8:1::1]:53", "--for", "10m"); strings.Contains(stderr, "--for") {
		t.Errorf("with --for: %s", stderr)
	}
}

func TestDrainWaitInterrupted(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	ctx, cancel := context.WithCancel(t.Context())
	w.Clock = cli.Clock{Timer: func(time.Duration) <-chan time.Time { cancel(); return nil }}
	var stderr bytes.Buffer
	env := w.Environment(ctx, "drain", "web", "10.0.0.1:8080", "--wait")
	env.Stderr = &stderr
	if code := w.RunIn(env); code != cli.ExitInterrupted {
		t.Errorf("exit %d, %s", code, &stderr)
	}
	if out := w.OK("get", "flows", "web"); !strings.Contains(out, "draining") {
		t.Errorf("it drains no longer:\n%s", out)
	}
}
